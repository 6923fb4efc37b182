"""What is left of the caps, and the load of programmes, against a count by hand."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import connection

from hetang.touch import ledger, queries
from hetang.touch.models import SENT
from hetang.touch.rules import CapRule, breaks_cap
from tests.touch import world
from tests.touch.world import NOW

pytestmark = pytest.mark.django_db


def touch(customer: int, slot: datetime, *, kind: str = "marketing", state: str = "sent", number: int = 0) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into touch_touch (planned_at, slot_at, programme, customer, task, local_day, channel,"
            " message_class, state, reserved, occurrence, address)"
            " values (%s, %s, 0, %s, 0, %s, 'wecom', %s, %s, %s, %s, '')",
            [NOW - timedelta(days=20), slot, customer, slot.date(), kind, state, state == "sent", number],
        )


def test_what_a_cap_has_left_is_what_it_would_still_allow() -> None:
    draw = random.Random(7)
    taken: dict[int, list[datetime]] = {}
    for customer in range(1, 60):
        taken[customer] = [NOW + timedelta(hours=draw.randint(-400, 400)) for _ in range(draw.randint(1, 5))]
        for number, slot in enumerate(taken[customer]):
            touch(customer, slot, number=number)
        touch(customer, NOW, kind="service", number=90)
        touch(customer, NOW, state="cancelled", number=91)
    used = queries.cap_use(CapRule("wecom", 2, 7), NOW)
    by_hand = Counter(
        next(limit for limit in range(1, 9) if not breaks_cap(slots, NOW, limit, 7)) - 1 for slots in taken.values()
    )
    assert sum(used.values()) <= 59
    assert {count: people for count, people in used.items() if count} == {n: p for n, p in by_hand.items() if n}
    assert queries.cap_use(CapRule("sms", 2, 7), NOW) == {}
    among = ("select unnest(%s::bigint[])", [[1, 2, 3]])
    assert sum(queries.cap_use(CapRule("", 2, 30), NOW, among).values()) == 3


def test_the_platforms_quota_and_friends_of_some_customers() -> None:
    world.people(10, world.organisation(1))
    touch(3, NOW)
    touch(9, NOW)
    among = ("select number from customers_customer where number < %s", [6])
    everybody, some = queries.quota("wecom", NOW), queries.quota("wecom", NOW, among)
    assert everybody and some
    assert (everybody.people_by_used, some.people_by_used) == ({1: 2}, {1: 1})
    assert (queries.friends(), queries.friends(among)) == (10, 5)


def test_the_load_of_programmes_leaves_out_who_was_never_meant_to_get_it() -> None:
    counts = [
        ("send", SENT, "", 7), ("send", "planned", "", 2), ("send", "tasked", "", 3), ("send", "failed", "refused", 1),
        ("control", "control", "", 50), ("send", "excluded", "capped", 60),
    ]  # fmt: skip
    ledger.add({(5, "wecom", arm, 1, state, reason): count for arm, state, reason, count in counts})
    found = queries.loads([5, 6])
    assert found == {5: queries.Load(sent=7, open=5, lost=1)} and found[5].people == 12
