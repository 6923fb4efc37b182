"""Files of customers without a column of times, one after the other: each is a later word than the one before it, and
a row that has not changed adds nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from hetang.customers.models import (
    Consent,
    CustomerAttribute,
    CustomerTag,
    DoNotDisturb,
    HouseholdMember,
    Tag,
    TagGroup,
)
from hetang.facts.intake import Draft
from hetang.facts.models import Fact
from hetang.imports import running, services
from hetang.imports.mapping import LegalBasis
from hetang.imports.models import Import, ImportChunk
from hetang.platform import clock, jobs
from tests.customers.drive import apply, fold_after, last_id, number_of
from tests.imports.files import checked, csv_bytes, imported, uploaded

pytestmark = pytest.mark.django_db
HEAD = ["member", "member level"]


def counts_of(rows: Sequence[Sequence[str]], header: Sequence[str] = HEAD, **changes: Any) -> dict[str, int]:
    """Import a file and fold it; what its run counted, of which the check foresaw what is new."""
    before = last_id()
    changes = {"source": "crm", "attributes": {"level": "member level"}, **changes}
    owner = imported("customers", csv_bytes([header, *rows]), **changes)
    fold_after(before)
    counts: dict[str, int] = owner.result["counts"]
    assert owner.check_result["counts"]["new"] == counts["new"]
    return counts


def level(member: str) -> str:
    value: str = CustomerAttribute.objects.get(customer=number_of("member", member), code="level").value
    return value


def test_a_value_that_is_set_back_is_set_back_and_what_stays_adds_nothing() -> None:
    both = [["900", "gold"], ["901", "gold"]]
    assert counts_of(both)["new"] == 2
    changed = [["900", "silver"], ["901", "gold"]]
    assert (counts_of(changed)["new"], level("900")) == (1, "silver")
    back = counts_of(both)
    assert (back["new"], back["known"], level("900")) == (1, 1, "gold")
    for again in (both, both):
        assert (counts_of(again)["new"], level("900")) == (0, "gold")
    assert (counts_of(changed)["new"], level("900")) == (1, "silver")
    assert (counts_of(changed)["new"], level("900"), level("901")) == (0, "silver", "gold")


def test_any_row_of_files_leaves_the_newest_word_and_one_fact_for_each_change() -> None:
    """Against a plain reference: what each customer was last said to be, and how often that was something else."""
    rng = random.Random(3)
    is_now: dict[str, str] = {}
    for _file in range(14):
        rows = [[f"{900 + rng.randrange(5)}", rng.choice(["gold", "silver", "iron"])] for _row in range(5)]
        changes = 0
        for member, wanted in rows:
            changes += is_now.get(member) != wanted
            is_now[member] = wanted
        assert counts_of(rows)["new"] == changes, rows
        assert {member: level(member) for member in is_now} == is_now


def test_all_that_a_row_says_is_said_again_but_a_yes() -> None:
    group = TagGroup.objects.create(name="Level", exclusive=True)
    for code in ("gold", "silver"):
        Tag.objects.create(group=group, code=code, name=code)
    header = ["member", "tags", "consent", "do not disturb", "child birthday"]
    basis = LegalBasis("marketing", "wecom", "consent", "2026-01")
    first = [["900", "gold", "yes", "no", "2020-05-01"]]
    other = [["900", "silver", "no", "yes", "2020-06-02"]]
    for rows in (first, other, first):
        counts_of(rows, header, attributes={}, legal_basis=basis)
    number = number_of("member", "900")
    assert list(CustomerTag.objects.filter(customer=number, on=True).values_list("tag__code", flat=True)) == ["gold"]
    assert not Consent.objects.get(customer=number).given
    assert str(HouseholdMember.objects.get(customer=number).born_on) == "2020-05-01"
    assert DoNotDisturb.objects.get(customer=number).on
    counts_of([["900", "iron", "no", "yes", "2020-05-01"]], header, attributes={}, legal_basis=basis)
    said = Fact.objects.filter(kind="do_not_disturb.changed").values_list("body__on", flat=True).order_by("id")
    assert list(said) == [False, True, True]


def test_a_row_that_changed_does_not_stand_above_her_withdrawal() -> None:
    """Her old yes is in each file of the till; what she said to us meanwhile counts. A yes with its own time is new."""
    header = [*HEAD, "consent", "consent at"]
    basis = LegalBasis("marketing", "wecom", "consent", "2026-01")
    counts_of([["900", "gold", "yes", ""]], header, legal_basis=basis)
    number, no = number_of("member", "900"), {"purpose": "marketing", "channel": "wecom", "given": False}
    assert Consent.objects.get(customer=number).given
    apply(Draft("consent.changed", "no", clock.now(), [("member", "900")], no), source="page")
    for value in ("silver", "gold", "iron"):
        assert counts_of([["900", value, "yes", ""]], header, legal_basis=basis)["new"] == 1
        assert (level("900"), Consent.objects.get(customer=number).given) == (value, False)
    at = clock.now().isoformat()
    counts_of([["900", "iron", "yes", at]], header, legal_basis=basis)
    assert Consent.objects.get(customer=number).given


def test_times_of_their_own_other_sources_and_hands_are_left_alone() -> None:
    header = [*HEAD, "updated at"]
    at = ["2026-01-01 10:00:00", "2026-01-02 10:00:00"]
    counts_of([["900", "gold", at[0]]], header)
    counts_of([["900", "silver", at[1]]], header)
    assert (counts_of([["900", "gold", at[0]]], header)["new"], level("900")) == (0, "silver"), "it says how old it is"
    counts_of([["901", "gold"]])
    counts_of([["901", "silver"]], source="pos")
    assert (counts_of([["901", "gold"]])["new"], level("901")) == (0, "silver"), "this source has not changed its word"
    said = {"attributes": {"level": "platinum"}}
    apply(Draft("customer.described", "x", clock.now(), [("member", "901")], said), source="crm")
    assert (counts_of([["901", "gold"]])["new"], level("901")) == (0, "platinum"), "nor over what came by the API"


def test_people_who_are_known_by_phone_are_set_back_too() -> None:
    header = ["phone", "member level"]
    for value in ("gold", "silver", "gold"):
        counts_of([["13812345678", value]], header)
    assert CustomerAttribute.objects.get(customer=number_of("phone", "13812345678"), code="level").value == "gold"
    refused = counts_of([["no phone", "gold"], ["13812345678", "silver"]], header)
    assert (refused["rows_refused"], refused["new"]) == (1, 1)


def test_an_older_file_that_runs_late_sets_nothing_back() -> None:
    counts_of([["900", "gold"]])
    late = uploaded("customers", csv_bytes([HEAD, ["900", "gold"]]), source="crm", attributes={"level": "member level"})
    counts_of([["900", "silver"]])
    before = last_id()
    services.start_run(checked(late))
    jobs.run_waiting()
    fold_after(before)
    late.refresh_from_db()
    assert (late.state, late.result["counts"]["new"], level("900")) == (Import.DONE, 0, "silver")


def test_a_run_that_died_and_runs_again_says_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ROWS_PER_CHUNK", 1)
    rows = [["900", "gold"], ["901", "gold"], ["902", "gold"]]
    counts_of(rows)
    counts_of([[member, "silver"] for member, _gold in rows])
    before = last_id()
    owner = checked(uploaded("customers", csv_bytes([HEAD, *rows]), source="crm", attributes={"level": "member level"}))
    services.confirm(owner, services.unconfirmed(owner))

    class Dies:
        steps = 0

        def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...
        def checkpoint(self) -> None:
            self.steps += 1
            if self.steps == 3:
                raise SystemExit

    with pytest.raises(SystemExit):
        services.run_now(owner, Dies())
    assert ImportChunk.objects.filter(owner=owner).count() == 2
    dead = Dies()
    dead.steps = 3
    services.run_now(owner, dead)
    fold_after(before)
    assert [level(member) for member, _gold in rows] == ["gold"] * 3
    assert Fact.objects.filter(kind="customer.described", key__contains="@").count() == 3
