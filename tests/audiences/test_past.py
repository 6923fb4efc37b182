"""Who was in an audience when: snapshots as facts, through the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from pyroaring import BitMap

from hetang.audiences import catalogues, past, queries, refreshing, services
from hetang.audiences.errors import AudienceInUse
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.audiences.past import Stay
from hetang.audiences.rules import InvalidRule
from hetang.audiences.schedules import Schedule
from hetang.commerce import history as commerce_history
from hetang.customers.models import Customer, Tag, TagGroup
from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import access, brand, clock
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode

NOW = datetime.now(UTC).replace(microsecond=0)  # the engine is a process of its own: it cannot be frozen
EVERYTHING = Scope((), everything=True)
HEADQUARTERS = access.system("test")
GOLD = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["gold"]}}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def shop(clickhouse: str) -> Iterator[None]:
    commerce_history.ensure_schema()
    brand.forget()
    catalogues.forget()
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="x")
    root.path = f"{root.id}."
    root.save()
    Tag.objects.create(code="gold", name="Gold", group=TagGroup.objects.create(name="Value"))
    who = [Draft("customer.described", f"d{m}", NOW - timedelta(days=90), [("member", m)], {"attributes": {}})
           for m in ("ann", "bea", "cat")]  # fmt: skip
    assert record("till", who).rejected == []
    run_until_idle()
    yield
    clock.freeze(None)


def number(member: str) -> int:
    return Customer.objects.get(identities__kind="member", identities__key=member).number


def tag(member: str, on: bool, key: str) -> None:
    record("crm", [Draft("tag.changed", key, NOW + timedelta(seconds=int(key)), [("member", member)],
                         {"tag": "gold", "on": on})])  # fmt: skip
    run_until_idle()


def save(name: str = "Golden", rule: dict[str, Any] = GOLD, **more: Any) -> Audience:
    return services.save(HEADQUARTERS, name=name, rule=rule, org_node=OrgNode.objects.get(code="brand"), **more)


def whole(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "rule": {"all": list(parts)}}


def golden_weeks() -> Audience:
    """ann came in 20 days ago and left 3 days ago; bea came 10 days ago; cat is never in."""
    golden = save()
    for key, (member, on, ago) in enumerate([("ann", True, 20), ("bea", True, 10), ("ann", False, 3)], 1):
        tag(member, on, str(key))
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
    tag("ann", True, "9")
    snapshot = services.take_snapshot(golden.id)
    assert (set(BitMap.deserialize(bytes(snapshot.members))), snapshot.entered, snapshot.left) == ({ann}, 0, 0)
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
    stored = list(past.changes(golden.id))
    AudienceSnapshot.objects.update(entered_members=None, left_members=None)
    assert list(past.changes(golden.id)) == stored
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
    tag("ann", True, "1")
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
