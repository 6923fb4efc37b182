"""What the customers room holds about a person. `erasing.begin` empties it at once; here it is counted and told."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap

from hetang.customers import kept
from hetang.customers.models import (
    BulkChange,
    Consent,
    Customer,
    CustomerAttribute,
    CustomerTag,
    DoNotDisturb,
    HouseholdMember,
    Identity,
    KeptTag,
    Relation,
)
from hetang.platform.holdings import Checkpoint, Holding, Person
from hetang.platform.sealing import unseal

CHUNK = 20  # changes read at once: the sets of one to a million people weigh some hundred KB

_LEFT = """
select (select count(*) from customers_identity where customer_id = any(%(numbers)s))
     + (select count(*) from customers_customerattribute where customer_id = any(%(numbers)s))
     + (select count(*) from customers_customertag where customer_id = any(%(numbers)s))
     + (select count(*) from customers_relation where customer_id = any(%(numbers)s))
     + (select count(*) from customers_consent where customer_id = any(%(numbers)s))
     + (select count(*) from customers_consentbasis where customer_id = any(%(numbers)s))
     + (select count(*) from customers_donotdisturb where customer_id = any(%(numbers)s))
     + (select count(*) from customers_householdmember where customer_id = any(%(numbers)s))
     + (select count(*) from customers_merge where survivor = any(%(numbers)s) or absorbed = any(%(numbers)s))
     + (select count(*) from customers_unmerge where people && %(numbers)s::bigint[])
     + (select count(*) from customers_proposal where one_id = any(%(numbers)s) or other_id = any(%(numbers)s))
     + (select count(*) from customers_customer where number = any(%(numbers)s) and erased_at is null)
"""


def _count(person: Person) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, {"numbers": list(person.numbers)})
        return int(cursor.fetchone()[0])


def _erase(person: Person, _checkpoint: Checkpoint) -> int:
    """What a stream wrote while she was being made a tombstone; there is nothing else left."""
    from hetang.customers.erasing import EMPTY

    changed = 0
    with connection.cursor() as cursor:
        for statement in EMPTY[:-1]:
            cursor.execute(statement, {"numbers": list(person.numbers)})
            changed += cursor.rowcount
    return changed


def _tell(person: Person) -> dict[str, Any]:
    numbers = list(person.numbers)
    customer = Customer.objects.select_related("home_store", "owner").get(pk=numbers[0])
    of_her = {"customer__in": numbers}
    return {
        "name": unseal(customer.name).decode() if customer.name else "",
        "known_since": customer.created_at,
        "home_store": customer.home_store.name if customer.home_store else "",
        "served_by": customer.owner.name if customer.owner else "",
        "identities": [_identity(row) for row in Identity.objects.filter(**of_her).order_by("id")],
        "attributes": list(
            CustomerAttribute.objects.filter(**of_her).order_by("code").values("code", "value", "occurred_at")
        ),
        "tags": list(
            CustomerTag.objects.filter(**of_her)
            .order_by("tag__name")
            .values("tag__name", "on", "occurred_at", "source", "expires_at")
        )
        + [
            {"tag__name": row.tag.name, "on": True, "occurred_at": None, "source": kept.SOURCE, "expires_at": None}
            for row in kept.held_by(numbers)
        ],
        "friends_in_wecom": list(
            Relation.objects.filter(**of_her).order_by("id").values("staff__name", "state", "since", "add_way")
        ),
        "consents": list(
            Consent.objects.filter(**of_her)
            .order_by("purpose", "channel")
            .values("purpose", "channel", "given", "counts", "basis", "stated", "text_version", "occurred_at", "source")
        ),
        "do_not_disturb": list(DoNotDisturb.objects.filter(**of_her).values("on", "until", "occurred_at", "source")),
        "household": [_member(row) for row in HouseholdMember.objects.filter(**of_her, removed=False).order_by("id")],
    }


def _member(row: HouseholdMember) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": unseal(row.name).decode() if row.name else "",
        "born_on": row.born_on,
        "due_on": row.due_on,
        "sex": row.sex,
        "occurred_at": row.occurred_at,
    }


def _identity(row: Identity) -> dict[str, Any]:
    value = unseal(row.sealed).decode() if row.sealed else row.key
    return {"kind": row.kind, "value": value, "first_seen_at": row.first_seen_at}


def _bulk_changes(person: Person) -> list[BulkChange]:
    """Bulk changes whose sets hold her."""
    hers = BitMap(person.numbers)
    rows = BulkChange.objects.order_by("id").iterator(chunk_size=CHUNK)
    return [row for row in rows if BitMap.deserialize(bytes(row.members)) & hers]


def _bulk_count(person: Person) -> int:
    return len(_bulk_changes(person))


def _bulk_erase(person: Person, checkpoint: Checkpoint) -> int:
    """Take her out of the sets; the counts of what was done stay."""
    hers = BitMap(person.numbers)
    found = [row.pk for row in _bulk_changes(person)]
    for pk in found:
        with transaction.atomic():
            change = BulkChange.objects.select_for_update().get(pk=pk)
            rest = BitMap.deserialize(bytes(change.members)) - hers
            change.members, change.people = rest.serialize(), len(rest)
            change.untouched = (BitMap.deserialize(bytes(change.untouched)) - hers).serialize()
            change.save(update_fields=["members", "people", "untouched"])
            for before in change.before.all():
                before.members = (BitMap.deserialize(bytes(before.members)) - hers).serialize()
                before.save(update_fields=["members"])
        checkpoint()
    return len(found)


def _bulk_tell(person: Person) -> list[dict[str, Any]]:
    return [
        {"kind": row.kind, "tag": row.tag.name if row.tag else "", "at": row.started_at}
        for row in _bulk_changes(person)
        if row.started_at is not None
    ]


def _kept_count(person: Person) -> int:
    return sum(1 for _row in kept.held_by(person.numbers))


def _kept_erase(person: Person, checkpoint: Checkpoint) -> int:
    changed = 0
    for tag in [row.pk for row in kept.held_by(person.numbers)]:
        with transaction.atomic():
            changed += kept.take_out(KeptTag.objects.select_for_update().get(pk=tag), person.numbers)
        checkpoint()
    return changed


HOLDINGS = [
    Holding(
        "customers",
        _("Who she is: identities, profile, tags, friends, consents"),
        _count,
        _erase,
        _tell,
        _("An empty record with a number and an opaque id, so that neither is ever given to somebody else."),
    ),
    Holding(
        "bulk_changes",
        _("Changes to many customers at once, of which she was one"),
        _bulk_count,
        _bulk_erase,
        _bulk_tell,
    ),
    Holding("kept_tags", _("Tags that rules keep on her"), _kept_count, _kept_erase),
]
