"""Who was in an audience when: snapshots as facts, through the real engine."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from hetang.audiences import past, queries, refreshing, services, stored
from hetang.audiences.errors import AudienceInUse
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.audiences.past import Stay
from hetang.audiences.rules import InvalidRule
from hetang.audiences.schedules import Schedule
from hetang.customers.models import Tag
from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import clock
from tests.audiences.three_people import EVERYTHING, HEADQUARTERS, NOW, gold, number, save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.usefixtures("three_people"),
]


def whole(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "rule": {"all": list(parts)}}


def golden_weeks() -> Audience:
    """ann came in 20 days ago and left 3 days ago; bea came 10 days ago; cat is never in."""
    golden = save()
    for key, (member, on, ago) in enumerate([("ann", True, 20), ("bea", True, 10), ("ann", False, 3)], 1):
        gold(member, on, key)
        clock.freeze(NOW - timedelta(days=ago))
        services.take_snapshot(golden.id)
        clock.freeze(None)
    return golden


def local(at: datetime) -> dict[str, str]:
    there = at.astimezone(clock.zone())
    return {"date": there.date().isoformat(), "time": f"{there:%H:%M}"}


def test_the_past_is_asked_as_a_set_and_of_one_person() -> None:
    golden = golden_weeks()
    named = {"audience": str(golden.public_id)}
    asked = {
        "before": {"type": "audience_at", **named, **local(NOW - timedelta(days=21))},
        "then": {"type": "audience_at", **named, **local(NOW - timedelta(days=9))},
        "now": {"type": "audience_at", **named, **local(NOW)},
        "came": {"type": "audience_moved", **named, "way": "entered", "days": 12},
        "ever": {"type": "audience_moved", **named, "way": "entered", "days": 60},
        "left": {"type": "audience_moved", **named, "way": "left", "days": 5},
        "long": {"type": "audience_moved", **named, "way": "left", "days": 2},
    }
    ann, bea, cat = number("ann"), number("bea"), number("cat")
    expected = {"before": set(), "then": {ann, bea}, "now": {bea}, "came": {bea}, "ever": {ann, bea}, "left": {ann},
                "long": set()}  # fmt: skip
    for name, condition in asked.items():
        assert set(queries.evaluate(whole(condition), EVERYTHING)) == expected[name], name
        fitting = {one for one in (ann, bea, cat) if queries.explain(whole(condition), one).holds}
        assert fitting == expected[name], name
    days = [NOW - timedelta(days=ago) for ago in (20, 10, 3)]
    assert past.stays(past.moves_of(golden.id, [ann])) == [Stay(days[0], days[2], days[0])]
    assert past.stays(past.moves_of(golden.id, [bea])) == [Stay(days[1], None, days[1])]
    assert past.moves_of(golden.id, [cat]) == ()
    assert queries.audiences_of(ann, EVERYTHING) == []


def test_a_merge_is_no_coming_or_going_and_the_past_goes_with_her() -> None:
    golden = golden_weeks()
    ann, bea = number("ann"), number("bea")
    record("crm", [Draft("customer.identified", "m", NOW, [("member", "bea"), ("member", "cat")])])
    record("crm", [Draft("customer.identified", "n", NOW, [("member", "ann"), ("member", "bea")])])
    run_until_idle()
    assert number("bea") == ann
    gold("ann", True, 9)
    snapshot = services.take_snapshot(golden.id)
    assert (set(stored.read_members(snapshot.pk)), snapshot.entered, snapshot.left) == ({ann}, 0, 0)
    kinds = Fact.objects.filter(kind__startswith="audience.").order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["audience.entered", "audience.entered", "audience.left"]
    came = {"type": "audience_moved", "audience": str(golden.public_id), "way": "entered", "days": 12}
    assert set(queries.evaluate(whole(came), EVERYTHING)) == {ann}  # as bea, ten days ago
    assert queries.explain(whole(came), ann).holds
    moves = past.moves_of(golden.id, queries.numbers_of(ann))
    assert past.stays(moves) == [Stay(NOW - timedelta(days=20), None, NOW - timedelta(days=20))]
    assert bea != ann


def test_snapshots_from_before_the_columns_and_thinned_ones_still_answer() -> None:
    golden = golden_weeks()
    ann, bea = number("ann"), number("bea")
    before = list(past.changes(golden.id))
    for pk in AudienceSnapshot.objects.values_list("pk", flat=True):
        AudienceSnapshot.objects.filter(pk=pk).update(members=stored.read_members(pk).serialize())
    AudienceSnapshot.objects.update(entered_members=None, left_members=None)
    assert list(past.changes(golden.id)) == before
    AudienceSnapshot.objects.filter(sequence=1).delete()
    second = NOW - timedelta(days=10)
    assert past.stays(past.moves_of(golden.id, [ann])) == [Stay(None, NOW - timedelta(days=3), second)]
    assert past.stays(past.moves_of(golden.id, [bea])) == [Stay(None, None, second)]


def test_an_audience_whose_past_is_asked_for_is_in_use_and_no_part_of_itself() -> None:
    golden = save()
    came = {"type": "audience_moved", "audience": str(golden.public_id), "way": "entered", "days": 3}
    save("Newly golden", whole(came))
    with pytest.raises(AudienceInUse):
        services.archive(HEADQUARTERS, golden)
    with pytest.raises(InvalidRule) as refused:
        save("Golden", whole(came), audience=golden)
    assert [problem.code for problem in refused.value.problems] == ["cycle"]


def test_scheduled_audiences_run_at_their_time_once() -> None:
    gold("ann", True, 1)
    brand_zone = clock.zone()
    before = datetime(2026, 11, 11, 8, 59, tzinfo=brand_zone)
    clock.freeze(before)
    daily = save("Daily", schedule=Schedule(time(9)))
    weekly = save("Weekly", whole(), schedule=Schedule(time(9), 4))  # that day is a Wednesday
    assert daily.next_refresh_at == datetime(2026, 11, 11, 9, tzinfo=brand_zone)
    assert weekly.next_refresh_at == datetime(2026, 11, 13, 9, tzinfo=brand_zone)
    assert refreshing.refresh_due() == refreshing.IDLE_S
    clock.freeze(before + timedelta(minutes=2))
    assert [refreshing.refresh_due(), refreshing.refresh_due()] == [0.0, refreshing.IDLE_S]
    assert list(AudienceSnapshot.objects.values_list("audience__name", "count")) == [("Daily", 1)]
    daily.refresh_from_db()
    assert daily.next_refresh_at == datetime(2026, 11, 12, 9, tzinfo=brand_zone)
    clock.freeze(before + timedelta(days=9, minutes=2))  # a worker that was away runs each once, and goes on from today
    assert [refreshing.refresh_due() for _ in range(3)] == [0.0, 0.0, refreshing.IDLE_S]
    weekly.refresh_from_db()
    assert weekly.next_refresh_at == datetime(2026, 11, 27, 9, tzinfo=brand_zone)
    services.archive(HEADQUARTERS, daily)
    assert Audience.objects.get(id=daily.id).next_refresh_at is None


def test_a_scheduled_audience_that_fails_is_tried_again_soon() -> None:
    clock.freeze(datetime(2026, 11, 11, 8, 59, tzinfo=clock.zone()))
    broken = save("Broken", schedule=Schedule(time(9)))
    Tag.objects.all().delete()
    clock.freeze(datetime(2026, 11, 11, 9, 0, tzinfo=clock.zone()))
    assert refreshing.refresh_due() == 0.0
    broken.refresh_from_db()
    assert "unknown_tag" in broken.problem
    assert broken.next_refresh_at == clock.now() + refreshing.RETRY_AFTER
