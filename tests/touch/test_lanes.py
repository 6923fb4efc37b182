"""A plan whose lanes run side by side, on connections of their own."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from pyroaring import BitMap

from hetang.touch import deciding, governor, ledger, planning
from hetang.touch.models import Plan, PlanLane, Programme, SendTask, Touch
from hetang.touch.rules import CapRule
from tests.touch.world import NOW, organisation, past_touches, people, programme, request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _two_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "LANE_PEOPLE", 100)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def groups(plan: Plan) -> dict[tuple[str, int], bytes]:
    return {(group.reason, group.variant): bytes(group.members) for group in plan.groups.all()}


def test_two_lanes_end_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    members = people(401, organisation())
    asked = request(control_bp=1000, weights=(1, 1))
    plan = planning.begin(members.serialize(), asked, programme(asked, ("A", "B")))
    assert list(plan.lanes.values_list("number", "cursor", "until")) == [(0, -1, 200), (1, 200, 401)]
    done = planning.run(plan, 50)
    monkeypatch.setattr(planning, "LANES", 1)
    alone = planning.run(planning.begin(members.serialize(), asked), 1000)
    assert groups(done) == groups(alone)
    assert list(done.senders.order_by("staff_id", "variant").values_list("staff_id", "variant", "people")) == list(
        alone.senders.order_by("staff_id", "variant").values_list("staff_id", "variant", "people")
    )
    assert done.programme is not None
    assert done.programme.state == Programme.RUNNING
    assert sum(ledger.tally(done.programme.pk).values()) == 401
    tasks = SendTask.objects.all()
    assert sum(task.people for task in tasks) == Touch.objects.count() == sum(s.people for s in done.senders.all())
    assert all(task.people == Touch.objects.filter(task=task.pk).count() for task in tasks)


@pytest.mark.parametrize("known", [False, True])
def test_a_split_is_made_again_where_somebody_else_reserved_meanwhile(
    monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    members = people(150, organisation())
    past_touches(150, 150, days=3)  # one each
    governor.set_caps([CapRule("wecom", 2, 7)])
    first, second = (
        planning.begin(members.serialize(), asked, programme(asked))
        for asked in (request(seed="1"), request(seed="2", slot_at=NOW + timedelta(hours=1)))
    )
    if known:  # the other plan has had the last turn already, and has another one
        planning.step(second.pk, members.to_array(), 40)
    overtaken = _after_the_first_split(monkeypatch, lambda: planning.run(second))
    planning.run(first)
    assert {reason: group.count for group in first.groups.all() for reason in [group.reason]} == {"capped": 150}
    assert second.groups.get().reason == ""
    assert overtaken == [3]  # the split before, that of the other plan, and the one under the lock


def test_a_plan_is_not_disturbed_by_itself_nor_by_other_channels() -> None:
    nobody, others = governor.Reserver(), governor.Reserver("plan 7", since=3, turns=4)
    seen = {"": nobody, "wecom": others}
    assert governor.alone(seen, seen, "plan 8")
    mine = {"": governor.Reserver("plan 8", 1, 1), "wecom": governor.Reserver("plan 8", since=5, turns=7)}
    assert governor.alone(seen, mine, "plan 8")
    theirs = governor.Reserver("plan 7", since=3, turns=5)  # the last holder had another turn
    assert not governor.alone(seen, seen | {"wecom": theirs}, "plan 8")
    assert not governor.alone(seen, seen | {"wecom": governor.Reserver("plan 8", since=6, turns=6)}, "plan 8")
    assert not governor.alone(seen, seen | {"wecom": governor.Reserver("", since=5, turns=5)}, "plan 8")
    assert not governor.alone({"wecom": others}, seen, "plan 8")  # a cap over all channels is new


def test_a_lane_that_fails_ends_the_plan_and_it_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    members = people(400, organisation())
    asked = request()
    plan = planning.begin(members.serialize(), asked, programme(asked))
    decide = deciding.decide

    def break_in_the_middle(cursor: Any, of: Plan, numbers: array[int]) -> None:
        decide(cursor, of, numbers)
        if numbers[-1] > 300:
            raise RuntimeError("died")

    with monkeypatch.context() as patched:
        patched.setattr(deciding, "decide", break_in_the_middle)
        with pytest.raises(RuntimeError, match="died"):
            planning.run(plan, 50)
    plan.refresh_from_db()
    assert plan.state == Plan.RUNNING
    assert PlanLane.objects.get(plan=plan, number=1).cursor == 300
    assert planning.run(plan, 50).state == Plan.DONE
    assert Touch.objects.count() == 400


def test_a_plan_walked_twice_at_once_is_made_once() -> None:
    members = people(400, organisation())
    asked = request()
    plan = planning.begin(members.serialize(), asked, programme(asked))

    def walk() -> None:
        planning.run(plan, 30)
        connection.close()

    threads = [threading.Thread(target=walk) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Touch.objects.count() == 400 == len(set(Touch.objects.values_list("customer", flat=True)))
    assert BitMap.deserialize(bytes(plan.groups.get().members)) == members


def _after_the_first_split(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> list[int]:
    """Let `then` happen in another thread when the first split is made; the list tells how many were made in all."""
    split = deciding._split
    made = [0]

    def splitting(cursor: Any, *rest: Any) -> None:
        split(cursor, *rest)
        made[0] += 1
        if made[0] == 1:
            thread = threading.Thread(target=lambda: (then(), connection.close()))
            thread.start()
            thread.join()

    monkeypatch.setattr(deciding, "_split", splitting)
    return made
