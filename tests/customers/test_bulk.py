"""Changes to many: the set is fixed, facts once for ever, crashes, newer words, undo to exactly what held before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from hetang.customers import bulk
from hetang.customers.bulk import Wanted
from hetang.customers.errors import BulkRefused
from hetang.customers.models import BulkChange, Customer, CustomerTag, DoNotDisturb, Tag, TagGroup
from hetang.facts.models import Fact
from hetang.platform import access, approvals, clock, jobs, organisation
from hetang.platform.access import Forbidden, actor_for
from hetang.platform.approvals import BULK
from hetang.platform.models import AuditEntry, Grant, JobRun, OrgNode, User
from hetang.platform.roles import HEADQUARTERS, STORE_MANAGER
from hetang.resources import services as resources
from hetang.resources.rules import StaffRow, StoreRow
from tests.customers.drive import apply, at, draft, fold_after, last_id, number_of

pytestmark = pytest.mark.django_db
PEOPLE = 12


@pytest.fixture(autouse=True)
def brand_of_twelve() -> Iterator[None]:
    """Members 0 to 11; the even ones of store 330, the odd ones of store 331. Two kinds of tag groups."""
    clock.freeze(at(10))
    organisation.root()
    resources.upsert_stores([StoreRow("330", "North Gate"), StoreRow("331", "South Gate")])
    resources.upsert_staff([StaffRow("li", "Li", "330")])
    taste, level = TagGroup.objects.create(name="taste"), TagGroup.objects.create(name="level", exclusive=True)
    for code, group in (("coffee", taste), ("gold", level), ("silver", level)):
        Tag.objects.create(code=code, name=code, group=group)
    apply(*[draft("customer.described", f"d{n}", [_member(n)], home_store=f"33{n % 2}") for n in range(PEOPLE)])
    yield
    clock.freeze(None)


def _member(n: int) -> tuple[str, str]:
    return ("member", f"m{n}")


def actor(role: str = HEADQUARTERS, node: OrgNode | None = None, name: str = "op") -> access.Actor:
    user, made = User.objects.get_or_create(username=name, defaults={"created_at": clock.now()})
    if made:
        Grant.objects.create(user=user, role=role, org_node=node or organisation.root())
    return actor_for(user)


def tagging(kind: str = BulkChange.TAG_ON, code: str = "coffee", **filters: str) -> BulkChange:
    return bulk.preview(actor(), Wanted(kind, Tag.objects.get(code=code)), filters)


def write(change: BulkChange, chunk: int = 5) -> BulkChange:
    """Start it and carry it to its end, folding what was written."""
    before = last_id()
    bulk.start(actor(), change, "Job")
    finish(change, chunk)
    fold_after(before)
    change.refresh_from_db()
    return change


def take_back(change: BulkChange, chunk: int = 5) -> BulkChange:
    before = last_id()
    over(change)
    bulk.undo(actor(), change, "Undo")
    finish(change, chunk)
    fold_after(before)
    change.refresh_from_db()
    return change


def finish(change: BulkChange, chunk: int) -> None:
    while bulk.step(change.pk, chunk) is not None:
        pass
    over(change)


def over(change: BulkChange) -> None:
    JobRun.objects.filter(state=JobRun.WAITING).update(state=JobRun.DONE)


def tags() -> dict[int, dict[str, str]]:
    """What is on, by member: code -> until when ("" for ever)."""
    numbers = {number_of(*_member(n)): n for n in range(PEOPLE)}
    found: dict[int, dict[str, str]] = {}
    for row in CustomerTag.objects.filter(on=True).select_related("tag"):
        until = row.expires_at.isoformat() if row.expires_at else ""
        found.setdefault(numbers[row.customer_id], {})[row.tag.code] = until
    return found


def word(n: int, key: str, days: float, code: str = "coffee", on: bool = True, **more: object) -> None:
    apply(draft("tag.changed", key, [_member(n)], days, tag=code, on=on, **more))


def test_the_filter_chooses_whom_and_the_set_stays_as_it_was_looked_at() -> None:
    word(3, "t3", 1)
    change = tagging(store="331")
    assert (change.people, change.filters) == (6, {"store": "331"})
    assert bulk.estimate(change) == bulk.Estimate(change=5, already=1)
    apply(draft("customer.described", "new", [("member", "late")], home_store="331"))
    write(change)
    assert (change.state, change.changed, change.already, change.left_out) == (BulkChange.DONE, 5, 1, 0)
    assert sorted(tags()) == [1, 3, 5, 7, 9, 11]
    assert Fact.objects.filter(key__startswith=f"bulk:{change.public_id}:").count() == 5
    actions = list(
        AuditEntry.objects.filter(target_type="bulk_change").order_by("at", "id").values_list("action", flat=True)
    )
    assert actions == ["bulk.previewed", "bulk.started", "bulk.done"]


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_a_job_that_dies_goes_on_and_writes_nobody_twice(chunk: int) -> None:
    change = tagging()
    before = last_id()
    bulk.start(actor(), change, "Job")
    bulk.step(change.pk, chunk)
    with pytest.raises(BulkRefused, match="still_running"):
        bulk.go_on(actor(), change, "Job")
    JobRun.objects.filter(pk=change.job_id).update(state=JobRun.FAILED)
    bulk.go_on(actor(), change, "Job")
    finish(change, chunk)
    assert bulk.step(change.pk, chunk) is None  # and one beside it finds nothing to do
    fold_after(before)
    change.refresh_from_db()
    assert change.changed == len(tags()) == Fact.objects.filter(key__startswith="bulk:").count() == PEOPLE


def test_the_job_writes_it_and_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk.step, "__defaults__", (5,))
    change = tagging()
    bulk.start(actor(), change, "Tag everybody")
    jobs.register_all()
    jobs.run_waiting()
    run = JobRun.objects.get()
    assert (run.state, run.title, run.done, run.total) == (JobRun.DONE, "Tag everybody", PEOPLE, PEOPLE)
    assert run.result == {"changed": PEOPLE, "undone": 0}


def test_starting_twice_is_refused() -> None:
    change = tagging()
    again = BulkChange.objects.get(pk=change.pk)
    bulk.start(actor(), change, "Job")
    with pytest.raises(BulkRefused, match="changed_meanwhile"):
        bulk.start(actor(), again, "Job")
    with pytest.raises(BulkRefused, match="changed_meanwhile"):
        bulk.discard(actor(), again)
    assert JobRun.objects.count() == 1


def test_a_newer_word_stands_above_a_change_that_is_written_late() -> None:
    change = tagging()
    before = last_id()
    bulk.start(actor(), change, "Job")
    clock.freeze(at(11))
    word(4, "off", 10.5, on=False)
    finish(change, 5)
    fold_after(before)
    assert 4 not in tags() and len(tags()) == PEOPLE - 1


def test_undo_brings_back_what_held_before_and_leaves_newer_words() -> None:
    until = at(40)
    word(1, "a", 1, "silver")
    word(2, "b", 1, "silver", expires_at=until)
    word(3, "c", 1, "gold", expires_at=until)
    word(4, "d", 1, "gold")
    held = tags()
    change = write(tagging(code="gold"))
    assert all(now == {"gold": ""} for now in tags().values()) and len(tags()) == PEOPLE
    assert (change.changed, change.already) == (PEOPLE - 1, 1)
    clock.freeze(at(12))
    word(5, "newer", 11, "silver")
    take_back(change)
    assert tags() == held | {5: {"silver": ""}}
    assert (change.state, change.undone, change.kept) == (BulkChange.UNDONE, PEOPLE - 2, 1)
    with pytest.raises(BulkRefused, match="changed_meanwhile"):
        bulk.undo(actor(), change, "Undo")


def test_taking_a_tag_off_and_its_undo() -> None:
    word(1, "a", 1)
    word(2, "b", 1, expires_at=at(40))
    word(3, "c", 1, "silver")
    held = tags()
    change = tagging(BulkChange.TAG_OFF)
    assert bulk.estimate(change) == bulk.Estimate(change=2, already=PEOPLE - 2)
    write(change)
    assert tags() == {3: {"silver": ""}} and change.changed == 2
    take_back(change)
    assert tags() == held


def test_do_not_disturb_for_a_time_never_shortens_a_longer_one() -> None:
    def disturb() -> dict[int, str]:
        rows = DoNotDisturb.objects.filter(on=True).values_list("customer", "until")
        return {number: until.isoformat() if until else "" for number, until in rows}

    for n, until in ((0, None), (1, at(60)), (2, at(12))):
        apply(draft("do_not_disturb.changed", f"n{n}", [_member(n)], 1, on=True, until=until))
    held = disturb()
    change = bulk.preview(actor(), Wanted(BulkChange.DISTURB, until=at(30)), {})
    assert bulk.estimate(change) == bulk.Estimate(change=PEOPLE - 2, already=2)
    write(change)
    assert sorted(disturb().values()) == sorted(["", at(60).isoformat(), *[at(30).isoformat()] * (PEOPLE - 2)])
    take_back(change)
    assert disturb() == held
    with pytest.raises(BulkRefused, match="until_past"):
        bulk.preview(actor(), Wanted(BulkChange.DISTURB, until=at(1)), {})


def test_undo_of_what_was_stopped_halfway() -> None:
    change = tagging()
    before = last_id()
    bulk.start(actor(), change, "Job")
    bulk.step(change.pk, 5)
    JobRun.objects.filter(pk=change.job_id).update(state=JobRun.CANCELLED)
    fold_after(before)
    assert len(tags()) == 5
    take_back(change, 2)
    assert tags() == {} and change.undone == 5


def test_the_order_in_which_facts_are_folded_does_not_matter() -> None:
    """The undo may be folded before the change that it takes back."""
    word(1, "a", 1)
    change = tagging(BulkChange.TAG_OFF)
    before = last_id()
    bulk.start(actor(), change, "Job")
    finish(change, 5)
    bulk.undo(actor(), change, "Undo")  # nothing was folded yet
    finish(change, 5)
    fold_after(before)
    assert tags() == {1: {"coffee": ""}}


def test_whoever_is_gone_or_out_of_reach_meanwhile_is_left_out() -> None:
    store = OrgNode.objects.get(code="store:330")
    boss = actor(STORE_MANAGER, store, "boss")
    coffee = Tag.objects.get(code="coffee")
    change = bulk.preview(boss, Wanted(BulkChange.TAG_ON, coffee), {})
    assert change.people == PEOPLE / 2 and change.org_node == store
    apply(draft("customer.described", "moved", [_member(0)], 5, home_store="331"))
    apply(draft("customer.identified", "same", [_member(2), _member(8)], 5))
    Customer.objects.filter(pk=number_of(*_member(4))).update(erased_at=clock.now())
    before = last_id()
    bulk.start(boss, change, "Job")
    finish(change, 5)
    fold_after(before)
    change.refresh_from_db()
    assert (change.changed, change.left_out) == (3, 3)  # moved away, absorbed by another one, erased
    elsewhere = actor(STORE_MANAGER, OrgNode.objects.get(code="store:331"), "other")
    assert not bulk.seen_by(elsewhere).exists()


def test_who_may_not_change_customers_any_more_writes_nothing_more() -> None:
    change = tagging()
    bulk.start(actor(), change, "Job")
    bulk.step(change.pk, 5)
    Grant.objects.filter(user__username="op").delete()
    with pytest.raises(Forbidden):
        bulk.step(change.pk, 5)
    assert Fact.objects.filter(key__startswith="bulk:").count() == 5


def test_nobody_touches_what_somebody_else_prepared() -> None:
    change = tagging()
    stranger = actor(HEADQUARTERS, None, "stranger")
    for verb in (bulk.start, bulk.undo, bulk.go_on):
        with pytest.raises(Forbidden):
            verb(stranger, change, "Job")
    with pytest.raises(Forbidden):
        bulk.discard(stranger, change)
    bulk.discard(actor(), change)
    assert not BulkChange.objects.exists()


def test_four_eyes_above_the_threshold_for_exactly_these_people() -> None:
    approvals.ApprovalRule.objects.create(kind=BULK, role=HEADQUARTERS, over=10)
    change, second = tagging(), actor(HEADQUARTERS, None, "second")
    with pytest.raises(BulkRefused, match="approval_needed"):
        bulk.start(actor(), change, "Job")
    question = bulk.ask(actor(), change, "Tag everybody", "for the festival")
    with pytest.raises(approvals.ApprovalRefused, match="own_request"):
        approvals.decide(actor(), question, True)
    approvals.decide(second, question, True)
    other = tagging(store="330")
    assert bulk.rule_of(actor(), other) is None
    write(change)
    assert change.changed == PEOPLE


def test_erasing_takes_her_out_of_the_sets() -> None:
    from pyroaring import BitMap

    from hetang.customers.holdings import HOLDINGS
    from hetang.platform.holdings import Person

    word(1, "a", 1)
    change = write(tagging(BulkChange.TAG_OFF))
    number = number_of(*_member(1))
    her = Person(("x",), (number,), (), (0, 0, 0), clock.now())
    held = next(one for one in HOLDINGS if one.code == "bulk_changes")
    assert held.count(her) == 1 and held.tell is not None and held.tell(her)
    assert held.erase(her, lambda: None) == 1 and held.count(her) == 0
    change.refresh_from_db()
    assert change.people == PEOPLE - 1
    assert not any(number in BitMap.deserialize(bytes(row.members)) for row in change.before.all())


def test_any_walk_of_changes_and_undos_ends_where_it_began() -> None:
    draw = random.Random(11)
    for n in range(PEOPLE):
        for code in ("coffee", "gold", "silver"):
            if draw.random() < 0.4:
                until = draw.choice([None, at(30), at(50)])
                word(n, f"{n}{code}", draw.random(), code, expires_at=until)
    for step in range(4):
        clock.freeze(at(10 + step))
        held = tags()
        code, kind = draw.choice(["coffee", "gold", "silver"]), draw.choice([BulkChange.TAG_ON, BulkChange.TAG_OFF])
        change = write(tagging(kind, code), draw.choice([1, 4, 50]))
        clock.freeze(at(10 + step) + timedelta(hours=1))
        if change.changed:
            take_back(change, draw.choice([1, 4, 50]))
        assert tags() == held
