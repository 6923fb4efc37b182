"""Pond sets through the real engine: saving, days that are there once, and people through merges and erasures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import transaction
from pyroaring import BitMap

from hetang.audiences import holdings, pond_days, ponds, queries, services
from hetang.audiences.errors import (
    AudienceInUse,
    InvalidPonds,
    NameTaken,
    OutsideScope,
    PondInUse,
    PondsGone,
    StaleVersion,
)
from hetang.audiences.keeping import KEEPING
from hetang.audiences.models import Audience, Pond, PondDay, PondFrame, PondSet, PondShare
from hetang.audiences.ponds import Wanted
from hetang.audiences.rules import InvalidRule
from hetang.customers.models import Customer, Merge
from hetang.platform import clock, engine_client, roles
from hetang.platform.access import Actor, Held
from hetang.platform.holdings import Person
from hetang.platform.models import AuditEntry, OrgNode
from tests.audiences.three_people import EVERYTHING, GOLD, HEADQUARTERS, NOW, gold, number, save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.usefixtures("three_people"),
]
EVERYBODY: dict[str, Any] = {"version": 1, "rule": {"all": []}}
TODAY = NOW.date()


class Killed(BaseException):
    """A process that ends there."""


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    turn(0)
    yield
    clock.freeze(None)


def turn(days: int) -> None:
    """Stand at the noon of so many days from now (only here: the engine's clock stays)."""
    clock.freeze(datetime.combine(TODAY + timedelta(days=days), time(12), clock.zone()))


def saved(*audiences: Audience, pond_set: PondSet | None = None, name: str = "By value") -> PondSet:
    has = {one.audience_id: str(one.public_id) for one in ponds.ponds_of(pond_set)} if pond_set else {}
    wanted = [Wanted(one.name, str(one.public_id), has.get(one.pk, "")) for one in audiences]
    root = OrgNode.objects.get(code="brand")
    return ponds.save(HEADQUARTERS, name=name, ponds=wanted, org_node=root, pond_set=pond_set)


def days(pond_set: PondSet) -> list[PondDay]:
    return list(pond_set.days.order_by("day"))


def where(pond_set: PondSet) -> list[list[set[int]]]:
    """The people of every pond on every day, the rest at the end."""
    return [[set(part) for part in found.parts] for found in pond_days.read(days(pond_set))]


def test_each_person_is_in_the_first_pond_that_has_her_and_a_day_is_there_once() -> None:
    ann, bea, cat = map(number, ("ann", "bea", "cat"))
    gold("ann", True, 1)
    golden = save()
    rest = save("Not bea", {"version": 1, "rule": {"any": [GOLD["rule"], {"not": GOLD["rule"]}]}})
    value = saved(golden, rest)
    found = ponds.now([one.audience for one in ponds.ponds_of(value)], EVERYTHING)
    assert (found.of, found.people, found.fits, found.lost) == (3, [1, 2, 0], [1, 3], [[0, 0], [1, 0]])
    assert pond_days.take_due() == 0.0
    assert pond_days.take_due() == pond_days.IDLE_S
    first = PondDay.objects.get()
    assert pond_days.take(value.pk) == first
    assert (first.day, first.people, where(value)) == (TODAY, 3, [[{ann}, {bea, cat}, set()]])
    gold("ann", False, 2)
    gold("cat", True, 3)
    turn(2)  # nobody looked yesterday: that day is missing
    value = saved(golden, pond_set=value)
    assert pond_days.take_due() == 0.0
    assert [one.day for one in days(value)] == [TODAY, TODAY + timedelta(days=2)]
    assert where(value)[1] == [{cat}, {ann, bea}]
    assert list(Pond.objects.order_by("id").values_list("name", "removed_at")) == [
        ("Golden", None),
        ("Not bea", clock.now()),
    ]


def test_what_dies_in_the_middle_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    saved(save())
    written = pond_days._write

    def dies(row: PondDay, pond: int | None, members: BitMap) -> None:
        if pond is None:
            raise Killed
        written(row, pond, members)

    with monkeypatch.context() as during:
        during.setattr(pond_days, "_write", dies)
        with pytest.raises(Killed):
            pond_days.take_due()
    assert (PondDay.objects.count(), PondFrame.objects.count()) == (0, 0)
    assert pond_days.take_due() == 0.0
    assert PondShare.objects.count() == 2


def test_what_cannot_be_counted_is_tried_again_and_holds_no_other_back(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = save()
    broken, other = saved(golden), saved(golden, name="Other")
    call = engine_client.call
    answers = iter([engine_client.ServiceError("invalid_rule", "no such tag")])

    def fails_once(*arguments: Any, **more: Any) -> dict[str, Any]:
        for problem in answers:
            raise problem
        return call(*arguments, **more)

    monkeypatch.setattr(engine_client, "call", fails_once)
    assert [pond_days.take_due() for _ in range(3)] == [0.0, 0.0, pond_days.IDLE_S]
    broken.refresh_from_db()
    assert "no such tag" in broken.problem
    assert PondDay.objects.get().pond_set == other
    clock.freeze(clock.now() + pond_days.RETRY_AFTER)
    assert [pond_days.take_due() for _ in range(2)] == [0.0, pond_days.IDLE_S]
    broken.refresh_from_db()
    assert broken.problem == ""


def test_what_is_wrong_with_a_set_is_said_of_each_pond() -> None:
    golden, root = save(), OrgNode.objects.get(code="brand")
    known = str(golden.public_id)
    wanted = [Wanted("", known), Wanted("b", known), Wanted("b", "x"), Wanted("c", "")]
    with pytest.raises(InvalidPonds) as wrong:
        ponds.save(HEADQUARTERS, name="x", ponds=wanted, org_node=root)
    assert wrong.value.problems == [
        (0, "name_missing"),
        (1, "audience_twice"),
        (2, "name_twice"),
        (2, "audience_unknown"),
        (3, "audience_missing"),
    ]
    for nothing, code in (([], "no_ponds"), ([Wanted(str(n), known) for n in range(13)], "too_many")):
        with pytest.raises(InvalidPonds) as wrong:
            ponds.save(HEADQUARTERS, name="x", ponds=nothing, org_node=root)
        assert (None, code) in wrong.value.problems
    stale = saved(golden)
    saved(golden, pond_set=stale)
    with pytest.raises(StaleVersion):
        saved(golden, pond_set=stale)
    with pytest.raises(NameTaken):
        saved(golden)
    node = OrgNode.objects.create(kind="store", code="s1", name="S", path=f"{root.path}9.", parent=root)
    may = frozenset({"audiences:edit"})
    manager = Actor("manager", None, (Held("", node.path, whole_brand=False, permissions=may),))
    with pytest.raises(OutsideScope):
        ponds.archive(manager, PondSet.objects.get())


def test_an_audience_of_a_pond_is_kept_and_a_set_comes_back_only_with_its_audiences() -> None:
    golden = save()
    value = saved(golden)
    with pytest.raises(AudienceInUse) as used:
        services.archive(HEADQUARTERS, golden)
    assert used.value.ponds == ["By value"]
    ponds.archive(HEADQUARTERS, value)
    assert pond_days.take_due() == pond_days.IDLE_S
    services.archive(HEADQUARTERS, golden)
    with pytest.raises(PondsGone) as gone:
        ponds.restore(HEADQUARTERS, value)
    assert gone.value.names == ["Golden"]
    services.restore(HEADQUARTERS, golden)
    ponds.restore(HEADQUARTERS, value)
    assert list(ponds.visible(EVERYTHING)) == [value]
    assert list(ponds.archived(EVERYTHING)) == []
    acts = AuditEntry.objects.filter(target_type="pond_set").order_by("id").values_list("action", "target_id")
    kinds = ("saved", "archived", "restored")
    assert list(acts) == [(f"pond_set.{kind}", str(value.public_id)) for kind in kinds]


def walk(value: PondSet, steps: int) -> dict[date, list[BitMap]]:
    """Days of a random walk between two ponds and the rest, written as `take` writes them."""
    rng, written = random.Random(5), {}
    has = ponds.ponds_of(value)
    place = {one: rng.randrange(3) for one in range(3000)}
    for step in range(steps):
        turn(step)
        for one in rng.sample(range(3000), 2000 if step == 12 else 20):
            place[one] = rng.randrange(3)
        parts = [BitMap(one for one, at in place.items() if at == wanted) for wanted in range(3)]
        with transaction.atomic():
            row = pond_days._keep(value, clock.today(), has, ponds.Now(3000, [], [], [], parts))
        written[row.day] = parts
    return written


def test_days_read_as_written_whoever_is_erased_or_whatever_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pond_days, "FRAME_DAYS", 7)
    golden = save()
    value = saved(golden, save("Everybody", EVERYBODY))
    written = walk(value, 16)
    rows = days(value)
    assert {one.day: found.parts for one, found in zip(rows, pond_days.read(rows), strict=True)} == written
    assert [PondFrame.objects.count(), PondShare.objects.count()] == [3 * 3, 3 * 16]
    her = Person((), (7, 70, 99_999), (), (1, 0, 0), NOW)
    held = {one.code: one for one in holdings.HOLDINGS}["pond_days"]
    both = sum(bool(one & BitMap(her.numbers)) for parts in written.values() for one in parts)
    assert held.erase(her, lambda: None) >= both > 16, "each day of each pond, and frames of days that are over"
    assert held.count(her) == 0
    gone = BitMap([7, 70])
    rows = days(value)
    assert [found.parts for found in pond_days.read(rows)] == [[one - gone for one in written[row.day]] for row in rows]
    assert {one.people for one in rows} == {2998}
    shares = PondShare.objects.filter(day__in=rows)
    assert sorted(shares.values_list("people", flat=True)) == sorted(
        len(one - gone) for parts in written.values() for one in parts
    )
    kept = {one.code: one for one in KEEPING}["pond_days"].store
    assert kept is not None
    kept.remove(rows[10].at, lambda _n: None)
    assert [one.day for one in days(value)] == [one.day for one in rows[10:]]
    assert where(value) == [[set(one - gone) for one in written[row.day]] for row in rows[10:]]
    assert not PondFrame.objects.filter(shares=None).exists()
    kept.remove(clock.now() + timedelta(days=99), lambda _n: None)
    assert [one.day for one in days(value)] == [rows[-1].day]


def test_a_merge_moves_nobody() -> None:
    ann, bea, cat = map(number, ("ann", "bea", "cat"))
    gold("bea", True, 1)
    value = saved(save())
    pond_days.take(value.pk)
    assert where(value) == [[{bea}, {ann, cat}]]
    Customer.objects.filter(number=bea).update(merged_into=ann)
    merge = Merge.objects.create(survivor=ann, absorbed=bea, at=NOW, evidence=[])
    assert where(value) == [[set(), {ann, cat}]], "the survivor stays where she was herself"
    Customer.objects.filter(number=bea).update(merged_into=None)
    Merge.objects.filter(pk=merge.pk).update(undone_at=NOW)
    assert where(value) == [[{bea}, {ann, cat}]]


def test_a_store_sees_its_own_people() -> None:
    golden = save()
    root = OrgNode.objects.get(code="brand")
    node = OrgNode.objects.create(kind="store", code="s1", name="S", path=f"{root.path}9.", parent=root)
    manager = Actor("manager", None, (Held(roles.STORE_MANAGER, node.path, whole_brand=False),))
    scope = manager.scope("audiences:view")
    value = saved(golden)
    assert list(ponds.visible(scope)) == [value]
    assert ponds.now([golden], queries.common(queries.scope_of(value), scope)).people == [0, 0]


def test_rules_ask_where_somebody_was_when_a_day_began() -> None:
    ann, bea, cat = map(number, ("ann", "bea", "cat"))
    gold("ann", True, 1)
    value = saved(save())
    pond_days.take(value.id)
    gold("ann", False, 2)
    gold("bea", True, 3)
    turn(2)  # the day between is missed
    pond_days.take(value.id)
    (pond,) = (str(one.public_id) for one in ponds.ponds_of(value))
    whole = str(value.public_id)
    first, missed, last, later = (str(TODAY + timedelta(days=n)) for n in (0, 1, 2, 9))

    def was(day: str, *ponds: str) -> dict[str, Any]:
        return {"version": 1, "rule": {"type": "pond_at", "ponds": list(ponds), "date": day}}

    answers = [
        (was("2020-01-01", pond, whole), set()),
        (was(first, pond), {ann}),
        (was(missed, pond), {ann}),
        (was(last, pond), {bea}),
        (was(later, pond), {bea}),
        (was(last, whole), {ann, cat}),
        (was(first, pond, whole), {ann, bea, cat}),
        ({"version": 1, "rule": {"all": [was(first, pond)["rule"], was(last, whole)["rule"]]}}, {ann}),
    ]
    for rule, people in answers:
        assert set(queries.evaluate(rule, EVERYTHING)) == people
        assert {one for one in (ann, bea, cat) if queries.explain(rule, one).holds} == people
    assert queries.explain(was(missed, pond), ann).found == {pond: first}
    save("Came from gold", was(first, pond))
    with pytest.raises(PondInUse):
        ponds.archive(HEADQUARTERS, PondSet.objects.get())


def test_rules_ask_for_ponds_and_keep_them() -> None:
    ann, bea, cat = map(number, ("ann", "bea", "cat"))
    gold("ann", True, 1)
    golden, everybody = save(), save("Everybody", EVERYBODY)
    value = saved(golden, everybody)
    first, second = (str(one.public_id) for one in ponds.ponds_of(value))
    codes = {first: {ann}, second: {bea, cat}, str(value.public_id): set()}

    def asking(*ponds: str) -> dict[str, Any]:
        return {"version": 1, "rule": {"type": "pond", "ponds": list(ponds)}}

    for code, people in codes.items():
        assert set(queries.evaluate(asking(code), EVERYTHING)) == people
        others = {"version": 1, "rule": {"not": asking(code)["rule"]}}
        assert queries.preview(others, EVERYTHING).count == 3 - len(people)
        assert {one for one in (ann, bea, cat) if queries.explain(asking(code), one).holds} == people
    assert len(queries.evaluate(asking(*codes), EVERYTHING)) == 3
    user = save("In the second", asking(second))
    with pytest.raises(InvalidRule) as circle:
        services.save(HEADQUARTERS, name="Golden", rule=asking(second), org_node=golden.org_node, audience=golden)
    assert {one.code for one in circle.value.problems} == {"cycle"}
    with pytest.raises(InvalidPonds) as wrong:
        saved(user, golden, everybody, pond_set=value)
    assert wrong.value.problems == [(0, "audience_cycle")]
    with pytest.raises(PondInUse) as used:
        saved(golden, pond_set=value)
    assert used.value.names == ["In the second"]
    with pytest.raises(PondInUse):
        ponds.archive(HEADQUARTERS, value)
    services.archive(HEADQUARTERS, user)
    ponds.archive(HEADQUARTERS, PondSet.objects.get())
    with pytest.raises(InvalidRule, match="unknown_pond"):
        save("Late", asking(second))
