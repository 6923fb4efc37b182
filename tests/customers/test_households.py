"""Households from facts, and the facts of who comes into another life stage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyroaring import BitMap

from hetang.customers import erasing, households, life_stages, stage_changes
from hetang.customers.errors import DuplicateName, MemberGone, StageProblem, StaleModel
from hetang.customers.holdings import HOLDINGS
from hetang.customers.households import Described
from hetang.customers.life_stages import TEMPLATES, Definition, course_from
from hetang.customers.models import AttributeDefinition, HouseholdMember, LifeStageModel
from hetang.customers.stages import Course, Offset, Stage
from hetang.facts.intake import Draft
from hetang.facts.models import Fact
from hetang.platform import clock
from hetang.platform.masking import HIDDEN
from hetang.platform.sealing import unseal
from tests.customers.drive import apply, at, draft, fold_after, last_id, number_of, undone

pytestmark = pytest.mark.django_db

ANNA, BEA = ("member", "900"), ("member", "901")
TODAY = date(2026, 3, 1)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(at(0.1))
    yield
    clock.freeze(None)


def member(key: str, who: tuple[str, str], code: str, days: float = 0, name: str | None = None, **body: Any) -> Draft:
    said = {"kind": "child", "member": code, **body}
    return Draft("household.member_described", key, at(days), [who], said, None, name)


def kept(number: int) -> list[tuple[str, str, str, str | None]]:
    rows = HouseholdMember.objects.filter(customer=number, removed=False).order_by("member")
    return [
        (row.member, row.kind, unseal(row.name).decode() if row.name else "", row.day and row.day.isoformat())
        for row in rows
    ]


def test_the_newest_word_on_a_member_counts_in_any_order() -> None:
    words = [
        member("a", ANNA, "1", 0, "Mimi", due_on="2026-04-01"),
        member("b", ANNA, "1", 1, "Mia", born_on="2026-03-28", due_on="2026-04-01", sex="female"),
        member("c", ANNA, "2", 0.5, born_on="2020-02-29"),
        draft("household.member_removed", "d", [ANNA], 1, member="2"),
    ]
    ends = set()
    for order in (words, words[::-1], [words[2], words[0], words[3], words[1]]):
        with undone():
            for one in order:
                apply(one)
            ends.add(json.dumps(kept(number_of(*ANNA))))
    assert ends == {json.dumps([("1", "child", "Mia", "2026-03-28")])}


def test_a_name_is_sealed_in_the_log_and_in_the_table() -> None:
    apply(member("a", ANNA, "1", name="Mia", born_on="2024-02-29"))
    assert b"Mia" not in bytes(HouseholdMember.objects.get().name or b"")
    assert b"Mia" not in bytes(Fact.objects.get().sealed or b"") and "Mia" not in json.dumps(Fact.objects.get().body)


def test_a_merge_brings_households_together_and_a_decision_parts_them() -> None:
    apply(member("a", ANNA, "1", name="Mia", born_on="2024-02-29"), member("b", BEA, "2", name="Tom"))
    anna, bea = number_of(*ANNA), number_of(*BEA)
    apply(draft("customer.identified", "same", [ANNA, BEA], 1))
    assert [row[0] for row in kept(anna)] == ["1", "2"] and kept(bea) == []
    apart = Draft("customer.kept_apart", "x", at(1), [ANNA, BEA], {"left": 1, "by": "lin"})
    apply(apart)
    assert kept(number_of(*ANNA)) == [("1", "child", "Mia", "2024-02-29")]
    assert kept(number_of(*BEA)) == [("2", "child", "Tom", None)]


def test_erasing_leaves_nobody_of_the_household_and_an_export_names_all() -> None:
    apply(member("a", ANNA, "1", name="Mia", born_on="2024-02-29", sex="female"))
    holding = HOLDINGS[0]
    person = erasing.person_of(number_of(*ANNA))
    assert holding.tell is not None
    assert holding.tell(person)["household"] == [
        {
            "kind": "child",
            "name": "Mia",
            "born_on": date(2024, 2, 29),
            "due_on": None,
            "sex": "female",
            "occurred_at": at(0),
        }
    ]
    before = holding.count(person)
    HouseholdMember.objects.all().delete()
    assert holding.count(person) == before - 1
    apply(member("b", ANNA, "1", 1, name="Mia"))
    erasing.begin(person.numbers[0])
    assert not HouseholdMember.objects.exists() and holding.count(person) == 0


def test_a_child_is_shown_without_birthday_and_grown_ups_with_it() -> None:
    life_stages.create(Definition("Growing", "", "child", course_from(TEMPLATES["child"])))
    apply(
        member("a", ANNA, "1", name="王小明", born_on="2012-03-02"),
        member("b", ANNA, "2", name="王大明", born_on="2012-03-01"),
        member("c", ANNA, "3", name="旺财", kind="pet", born_on="2025-01-01"),
        member("d", ANNA, "4", due_on="2026-05-01"),
    )
    shown = {view.name: view for view in households.members_of(number_of(*ANNA), TODAY)}
    child, grown, pet, unborn = (shown[name] for name in (HIDDEN, "王**", "旺*", ""))
    assert (child.day, child.hidden, child.stages[0]) == (None, True, str(TEMPLATES["child"].stages[8][0]))
    assert (grown.day, grown.hidden, grown.stages) == (date(2012, 3, 1), False, ())
    assert (pet.day, pet.stages) == (date(2025, 1, 1), ())
    assert (unborn.day, unborn.due, unborn.stages[0]) == (None, True, str(TEMPLATES["child"].stages[0][0]))
    assert households.in_full(number_of(*ANNA), child.id) == "王小明 · 2012-03-02"


def test_people_note_change_and_remove_a_member_of_any_source() -> None:
    apply(member("a", ANNA, "1", name="Mia", born_on="2024-02-29"))
    anna = number_of(*ANNA)
    clock.freeze(at(1))
    before = last_id()
    households.describe(anna, Described("child", sex="female"), HouseholdMember.objects.get().pk)
    households.describe(anna, Described("pet", "Rex"))
    fold_after(before)
    rows = {row.kind: row for row in HouseholdMember.objects.all()}
    assert (rows["child"].origin, rows["child"].sex, rows["child"].born_on) == ("pos", "female", date(2024, 2, 29))
    assert unseal(rows["child"].name or b"") == b"Mia" and rows["pet"].origin == "console"
    clock.freeze(at(2))
    before = last_id()
    households.remove(anna, rows["child"].pk)
    fold_after(before)
    assert [row[1] for row in kept(anna)] == ["pet"]
    with pytest.raises(MemberGone):
        households.remove(anna, rows["child"].pk)
    with pytest.raises(MemberGone):
        households.describe(anna + 1, Described("child"), rows["pet"].pk)


def model(attribute: str = "", member_kind: str = "child") -> LifeStageModel:
    stages = (Stage("young", "Young", Offset(0, "day")), Stage("grown", "Grown", Offset(1, "year")))
    return life_stages.create(Definition("Ages", attribute, member_kind, Course(stages, Offset(2, "year"))))


def told() -> list[tuple[str, str, list[int]]]:
    facts = Fact.objects.filter(kind="life_stage.changed").order_by("occurred_at", "key")
    return [
        (
            clock.local_day(fact.occurred_at).isoformat(),
            fact.body["stage"],
            list(BitMap.deserialize(bytes(fact.members or b""))),
        )
        for fact in facts
    ]


def test_every_missed_day_is_told_once_with_its_own_midnight() -> None:
    made = model()
    apply(
        member("a", ANNA, "1", born_on="2025-03-02"),
        member("b", BEA, "1", born_on="2024-03-02"),
        member("c", BEA, "2", born_on="2024-02-29"),
        member("d", BEA, "3", born_on="2025-03-04", kind="pet"),
        member("e", ANNA, "2", due_on="2026-03-05"),
    )
    anna, bea = number_of(*ANNA), number_of(*BEA)
    assert stage_changes.run_once() == stage_changes.IDLE_S  # made today: nothing of before is told
    clock.freeze(at(4))
    old = LifeStageModel.objects.get()
    for _ in range(4):
        assert stage_changes.run_once() == 0.0
    assert stage_changes.run_once() == stage_changes.IDLE_S
    assert told() == [
        ("2026-03-02", "", [bea]),
        ("2026-03-02", "grown", [anna]),
        ("2026-03-05", "young", [anna]),
    ]
    assert Fact.objects.get(key=f"{made.pk}:2026-03-05:young").occurred_at == datetime(2026, 3, 4, 16, tzinfo=UTC)
    assert not stage_changes.tell(old, TODAY + timedelta(days=1))  # a second loop that saw the same row
    LifeStageModel.objects.update(caught_up_to=TODAY)  # and one after a restore of that row alone
    while stage_changes.run_once() == 0.0:
        pass
    assert len(told()) == 3


def test_an_attribute_counts_beside_the_household_and_odd_days_come_after_their_month() -> None:
    AttributeDefinition.objects.create(code="born", type="date", label_zh="生日", label_en="Birthday")
    model("born", "any")
    apply(
        draft("customer.described", "a", [ANNA], attributes={"born": "2025-02-29"}),
        draft("customer.described", "b", [BEA], attributes={"born": "yesterday"}),
        member("c", BEA, "1", kind="pet", born_on="2025-03-01"),
    )
    LifeStageModel.objects.update(caught_up_to=TODAY - timedelta(days=1))
    stage_changes.run_once()
    assert told() == [("2026-03-01", "grown", [number_of(*ANNA), number_of(*BEA)])]


def test_a_model_is_changed_by_who_saw_its_newest_version_and_archived_once() -> None:
    made = model()
    said = Definition("Ages", "", "pet", life_stages.course_of(made))
    assert life_stages.change(made, said, 1).member_kind == "pet"
    with pytest.raises(StaleModel):
        life_stages.change(made, said, 1)
    with pytest.raises(DuplicateName):
        model()
    for attribute, code in (("", "no_date"), ("nothing", "no_date_attribute")):
        with pytest.raises(StageProblem) as refused:
            life_stages.create(Definition("Other", attribute, "", said.course))
        assert refused.value.code == code
    assert life_stages.archive(made) and not life_stages.archive(made)
    clock.freeze(at(3))
    assert stage_changes.run_once() == stage_changes.IDLE_S
    assert model().pk != made.pk  # the name is free again
