"""People are merged and told apart on one connection while facts come in on others: nobody waits, nothing is lost."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from hetang.commerce.models import CustomerMetric, Order
from hetang.customers.models import Customer, Identity
from hetang.facts import intake, subscriptions
from tests.customers import reference
from tests.customers.drive import draft, order, partition

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = [("member", str(number)) for number in range(40)]
PHONES = [("phone", f"1381234{number:04}") for number in range(20)]


def facts_of(sender: int) -> list[list[intake.Draft]]:
    """Batches of orders and of evidence; each phone joins two members."""
    batches = []
    for turn in range(15):
        who = MEMBERS[(sender * 20 + turn) % 40]
        evidence = [who, PHONES[(sender * 20 + turn) % 40 // 2]]
        batches.append(
            [order(f"{sender}-{turn}-{n}", [MEMBERS[(turn * 7 + n) % 40]], 10, n) for n in range(20)]
            + [draft("customer.identified", f"e{sender}-{turn}", evidence, turn)]
        )
    return batches


def decisions() -> list[list[intake.Draft]]:
    """Every third pair is told apart, and every second of these decisions is lifted again."""
    made = []
    for pair in range(0, 20, 3):
        one, other = MEMBERS[2 * pair], MEMBERS[2 * pair + 1]
        made.append([draft("customer.kept_apart", f"k{pair}", [one, other], 1, left=1, by="lin")])
        if pair % 2:
            lifted = draft("customer.decision_lifted", f"l{pair}", [one], 2, decision=f"pos\x1fk{pair}", by="lin")
            made.append([lifted])
    return made


def test_people_are_merged_and_told_apart_while_facts_come() -> None:
    streams = [one for one in subscriptions.all_subscriptions() if one.name != "history"]
    small = [subscriptions.Subscription(one.name, one.handle, one.kinds, one.after, batch=30) for one in streams]
    sets = [facts_of(0), facts_of(1), decisions()]
    problems: list[BaseException] = []
    waits: list[float] = []
    sent = threading.Event()

    def send(batches: list[list[intake.Draft]]) -> None:
        try:
            for batch in batches:
                started = time.monotonic()
                assert not intake.record("pos", batch).rejected
                waits.append(time.monotonic() - started)
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    def follow() -> None:
        try:
            while sum([subscriptions.advance(one) for one in small]) or not sent.is_set():
                pass
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    senders = [threading.Thread(target=send, args=(batches,)) for batches in sets]
    followers = [threading.Thread(target=follow) for _ in range(2)]
    for thread in (*senders, *followers):
        thread.start()
    for thread in senders:
        thread.join()
    sent.set()
    for thread in followers:
        thread.join()
    while sum([subscriptions.advance(one) for one in small]):
        pass
    assert problems == []
    assert not subscriptions.SubscriptionCursor.objects.exclude(failed_at=None).exists()
    everything = [one for batches in sets for batch in batches for one in batch]
    assert partition() == reference.hashed(reference.people(everything, 3))
    assert Order.objects.count() == 600
    held = dict(CustomerMetric.objects.values_list("customer", "orders"))
    mine = {number: Order.objects.filter(customer=number).count() for number in held}
    assert (held, sum(held.values())) == (mine, 600)
    assert set(Identity.objects.values_list("customer", flat=True)) == set(
        Customer.objects.filter(merged_into=None).values_list("number", flat=True)
    )
    assert max(waits) < 1  # no sender waits for a merge


def test_the_door_is_open_while_people_are_being_divided() -> None:
    """The rewrite's transaction is open on one connection; another one brings facts about the very same people."""
    intake.record("pos", [order("a", [MEMBERS[0], PHONES[0]], 10), order("b", [MEMBERS[1], PHONES[0]], 5)])
    streams = [one for one in subscriptions.all_subscriptions() if one.name != "history"]
    while sum([subscriptions.advance(one) for one in streams]):
        pass
    intake.record("pos", [draft("customer.kept_apart", "k", [MEMBERS[0], MEMBERS[1]], 1, left=1, by="lin")])
    inside, go_on = threading.Event(), threading.Event()
    customers = streams[0]

    def slowly(window: subscriptions.Window) -> None:
        customers.handle(window)
        inside.set()
        assert go_on.wait(30)

    def divide() -> None:
        try:
            subscriptions.advance(subscriptions.Subscription(customers.name, slowly))
        finally:
            connection.close()

    dividing = threading.Thread(target=divide)
    dividing.start()
    assert inside.wait(30)
    outcome = intake.record("pos", [order("c", [MEMBERS[1], PHONES[0]], 7, 2)])
    assert outcome.accepted == 1
    assert Customer.objects.filter(merged_into=None).count() == 1  # not committed yet
    go_on.set()
    dividing.join()
    while sum([subscriptions.advance(one) for one in streams]):
        pass
    members = dict(Identity.objects.filter(kind="member").values_list("key", "customer"))
    assert dict(CustomerMetric.objects.values_list("customer", "gmv")) == {members["0"]: 10, members["1"]: 12}
