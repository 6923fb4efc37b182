"""Erasing a person: the first step, after which the brand does not know her any more.

One transaction, under the lock of the customers stream: her record becomes an empty tombstone, her identities go, and a
fact `customer.erased` tells the rooms that follow the log. What else is held about her is then removed by the holdings.
"""

from __future__ import annotations

from django.db import connection, transaction

from hetang.customers import merges
from hetang.customers.models import Customer, Identity
from hetang.facts import holdings as facts
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.models import SubscriptionCursor
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import clock
from hetang.platform.holdings import Named, Person, Position
from hetang.platform.sealing import lookup_keys, unseal

STREAM = "customers"


def person_of(number: int) -> Person:
    """Somebody as the holdings need to know her, as of now. Raises Customer.DoesNotExist if erased or absorbed."""
    customer = Customer.objects.get(pk=number, merged_into=None, erased_at=None)
    absorbed = list(Customer.objects.filter(merged_into=number).order_by("pk"))
    rows = Identity.objects.filter(customer__in=[number, *(one.pk for one in absorbed)]).order_by("id")
    return Person(
        public_ids=(str(customer.public_id), *(str(one.public_id) for one in absorbed)),
        numbers=(number, *(one.pk for one in absorbed)),
        identities=tuple(dict.fromkeys(_named(row) for row in rows)),
        until=_until(),
        at=clock.now(),
    )


def begin(number: int) -> Person:
    """Make her a tombstone. Returns who she was: the only place where that is known from now on.

    Raises Customer.DoesNotExist if she is erased or absorbed already. Under a tenth of a second, unless the customers
    stream is far behind.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.customers'))")
        person = person_of(number)
        facts.scrub_unapplied(person, _applied())
        for statement in EMPTY:
            cursor.execute(statement, {"numbers": list(person.numbers), "now": person.at})
        key = f"erased:{number}"
        outcome = intake.record(merges.SOURCE, [Draft("customer.erased", key, person.at, body=_body(person))])
        if outcome.accepted != 1:
            raise RuntimeError(f"the fact of erasing customer {number} was not taken")
        return person


def stand_in(count: int) -> int:
    """The first of `count` numbers that belong to nobody and never will. In the caller's transaction."""
    return merges.take_numbers(count)


def _body(person: Person) -> dict[str, list[int]]:
    return {"numbers": list(person.numbers)}


def _named(row: Identity) -> Named:
    value = unseal(row.sealed).decode() if row.sealed else row.key
    keys = lookup_keys(row.kind, value) if row.kind in DIRECT_KINDS else [value]
    return Named(row.kind, value, tuple(dict.fromkeys([row.key, *keys])))


def _until() -> Position:
    """Every fact that a transaction before this moment wrote."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, %s from facts_epoch", [2**62]
        )
        epoch, tx, fact = cursor.fetchone()
    return int(epoch), int(tx), int(fact)


def _applied() -> Position:
    row = SubscriptionCursor.objects.filter(name=STREAM).values_list("epoch", "tx", "fact_id").first()
    return row or (0, 0, 0)


_HER_IDENTITIES = "(select id from customers_identity where customer_id = any(%(numbers)s))"
EMPTY = (
    # Links and decisions speak of identities: they go while these are still there.
    f"delete from customers_identitylink where low in {_HER_IDENTITIES} or high in {_HER_IDENTITIES}",
    f"""update customers_decision set reason = '' where reason <> '' and id in (
       select decision_id from customers_decisionside where identity_id in {_HER_IDENTITIES})""",
    f"delete from customers_decisionside where identity_id in {_HER_IDENTITIES}",
    "delete from customers_proposal where one_id = any(%(numbers)s) or other_id = any(%(numbers)s)",
    "delete from customers_unmerge where people && %(numbers)s::bigint[]",
    "delete from customers_identity where customer_id = any(%(numbers)s)",
    "delete from customers_customerattribute where customer_id = any(%(numbers)s)",
    "delete from customers_customertag where customer_id = any(%(numbers)s)",
    "delete from customers_relation where customer_id = any(%(numbers)s)",
    "delete from customers_consent where customer_id = any(%(numbers)s)",
    "delete from customers_consentbasis where customer_id = any(%(numbers)s)",
    "delete from customers_donotdisturb where customer_id = any(%(numbers)s)",
    "delete from customers_householdmember where customer_id = any(%(numbers)s)",
    "delete from customers_merge where survivor = any(%(numbers)s) or absorbed = any(%(numbers)s)",
    """update customers_customer set erased_at = %(now)s, name = null, name_at = null, name_fact = null,
       name_key = null, home_store_id = null, home_store_at = null, home_store_fact = null, owner_id = null,
       owner_at = null, owner_fact = null where number = any(%(numbers)s)""",
)
