"""Four eyes: who needs approval, who may give it, and that nothing slips through between question and use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from hetang.platform import approvals, clock, organisation
from hetang.platform.access import Actor, Forbidden, actor_for, system
from hetang.platform.approvals import BROADCAST, ApprovalRefused, Question, Rule
from hetang.platform.models import Approval, AuditEntry, Grant, OrgNode, User
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS, REGION, STORE_MANAGER

NOW = datetime(2026, 5, 4, 3, tzinfo=UTC)
CONTENT = {"text": "Tea", "slot": None}


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    clock.freeze(NOW)
    yield
    clock.freeze(None)


def actor(name: str, *roles: str, node: OrgNode | None = None) -> Actor:
    user, _made = User.objects.get_or_create(username=name, defaults={"created_at": NOW})
    for role in roles:
        Grant.objects.get_or_create(user=user, role=role, org_node=node or organisation.root())
    return actor_for(user)


def question(size: int = 20_000, node: OrgNode | None = None, **changes: Any) -> Question:
    values = {"kind": BROADCAST, "target_id": "b1", "title": "Tea", "content": CONTENT, "size": size}
    return Question(**values | {"org_node": node or organisation.root()} | changes)


def use(who: Actor, size: int = 20_000, content: dict[str, Any] = CONTENT) -> None:
    approvals.use(who, BROADCAST, "b1", content=content, size=size, node=organisation.root())


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(ApprovalRefused) as refused:
        attempt()
    return refused.value.code


@pytest.mark.django_db
def test_the_threshold_is_that_of_the_most_generous_role_there() -> None:
    root = organisation.root()
    east = organisation.add_node(root, OrgNode.REGION, "east", "East")
    regional = actor("r", REGION, node=east)
    assert approvals.rule_for(regional, BROADCAST, 10_000, east) is None
    assert approvals.rule_for(regional, BROADCAST, 10_001, east) == Rule(REGION, 10_000)
    both = actor("both", REGION, HEADQUARTERS)
    assert approvals.rule_for(both, BROADCAST, 100_000, root) is None
    assert approvals.rule_for(both, BROADCAST, 100_001, root) == Rule(HEADQUARTERS, 100_000)
    approvals.set_limits(system("t"), BROADCAST, {REGION: None})
    assert approvals.rule_for(both, BROADCAST, 10**6, root) is None
    assert approvals.rule_for(system("t"), BROADCAST, 10**9, root) is None


@pytest.mark.django_db
def test_roles_that_only_see_do_not_raise_the_threshold() -> None:
    approvals.set_limits(system("t"), BROADCAST, {STORE_MANAGER: None})
    assert approvals.rule_for(actor("x", REGION, STORE_MANAGER), BROADCAST, 20_000, organisation.root()) == Rule(
        REGION, 10_000
    )


@pytest.mark.django_db
def test_rules_are_set_by_administrators_and_audited() -> None:
    with pytest.raises(Forbidden):
        approvals.set_limits(actor("hq", HEADQUARTERS), BROADCAST, {REGION: 5})
    approvals.set_limits(actor("admin", ADMINISTRATOR), BROADCAST, {REGION: 5, "": None, HEADQUARTERS: 100_000})
    assert AuditEntry.objects.get().changes == {"region": [10_000, 5], "others": [1_000, None]}


@pytest.mark.django_db
def test_what_was_approved_can_be_done_once() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    assert refusal(lambda: use(asker)) == "needed"
    asked = approvals.ask(asker, question(note="Please"))
    assert refusal(lambda: use(asker)) == "waiting"
    assert refusal(lambda: approvals.ask(asker, question())) == "asked_already"
    assert list(approvals.waiting_for(decider)) == [asked]
    approvals.decide(decider, asked, approve=True)
    assert list(approvals.answered_to(asker)) == [asked]
    use(asker)
    assert refusal(lambda: use(asker)) == "needed"
    actions = AuditEntry.objects.order_by("id").values_list("action", "actor")
    assert list(actions) == [
        ("approval.asked", "asker"), ("approval.approved", "decider"), ("approval.used", "asker"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_who_asked_or_made_it_does_not_decide() -> None:
    asker, author, other = actor("asker", REGION), actor("author", REGION), actor("other", REGION)
    asked = approvals.ask(asker, question(involved=(author.user_id,)))
    assert not approvals.waiting_for(asker).exists()
    assert not approvals.waiting_for(author).exists()
    for involved in (asker, author, system("t")):
        assert refusal(lambda who=involved: approvals.decide(who, asked, approve=True)) == "own_request"  # type: ignore[misc]
    with pytest.raises(Forbidden):
        approvals.decide(actor("admin", ADMINISTRATOR), asked, approve=True)
    assert refusal(lambda: approvals.decide(other, asked, approve=False, answer=" ")) == "answer_missing"
    approvals.decide(other, asked, approve=False, answer="Too late in the month")
    assert refusal(lambda: use(asker)) == "refused"
    assert refusal(lambda: approvals.decide(other, asked, approve=True)) == "over"


@pytest.mark.django_db
def test_only_deciders_of_the_place_decide() -> None:
    root = organisation.root()
    east, west = (organisation.add_node(root, OrgNode.REGION, code, code) for code in ("east", "west"))
    asked = approvals.ask(actor("asker", REGION, node=east), question(node=east))
    stranger = actor("stranger", REGION, node=west)
    assert not approvals.seen_by(stranger).exists()
    with pytest.raises(Forbidden):
        approvals.decide(stranger, asked, approve=True)
    with pytest.raises(Forbidden):
        approvals.ask(stranger, question(node=east))


@pytest.mark.django_db
def test_another_content_is_not_covered() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    asked = approvals.ask(asker, question())
    approvals.decide(decider, asked, approve=True)
    assert refusal(lambda: use(asker, content=CONTENT | {"text": "Coffee"})) == "changed"
    assert refusal(lambda: use(asker, size=22_001)) == "too_many"
    again = approvals.ask(asker, question(size=30_000))
    asked.refresh_from_db()
    assert asked.state == Approval.VOID
    approvals.decide(decider, again, approve=True)
    use(asker, size=33_000)


@pytest.mark.django_db
def test_a_change_voids_question_and_approval() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    asked = approvals.ask(asker, question())
    approvals.void(asker, BROADCAST, "b1")
    assert refusal(lambda: approvals.decide(decider, asked, approve=True)) == "over"
    asked = approvals.ask(asker, question())
    approvals.decide(decider, asked, approve=True)
    approvals.void(asker, BROADCAST, "b1")
    assert refusal(lambda: use(asker)) == "changed"


@pytest.mark.django_db
def test_questions_and_approvals_grow_old() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    asked = approvals.ask(asker, question())
    clock.freeze(NOW + approvals.HOLDS)
    assert not approvals.waiting_for(decider).exists()
    assert refusal(lambda: approvals.decide(decider, asked, approve=True)) == "over"
    again = approvals.ask(asker, question())
    asked.refresh_from_db()
    assert asked.state == Approval.EXPIRED
    approvals.decide(decider, again, approve=True)
    clock.freeze(NOW + 2 * approvals.HOLDS + timedelta(seconds=1))
    assert refusal(lambda: use(asker)) == "needed"


@pytest.mark.django_db
def test_a_question_is_taken_back_by_who_asked_only() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    asked = approvals.ask(asker, question())
    with pytest.raises(Forbidden):
        approvals.withdraw(decider, asked)
    approvals.withdraw(asker, asked)
    assert refusal(lambda: approvals.decide(decider, asked, approve=True)) == "over"
    assert refusal(lambda: approvals.withdraw(asker, asked)) == "over"
    assert refusal(lambda: approvals.ask(asker, question(size=5))) == "not_needed"


def at_once(*attempts: Callable[[], object]) -> list[str]:
    """Run each in a thread of its own with a connection of its own; what became of each."""
    results, barrier = [""] * len(attempts), threading.Barrier(len(attempts))

    def run(place: int, attempt: Callable[[], object]) -> None:
        barrier.wait()
        try:
            attempt()
            results[place] = "done"
        except ApprovalRefused as refused:
            results[place] = refused.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_of_two_deciders_at_once_one_decides() -> None:
    asker, one, two = actor("asker", REGION), actor("one", REGION), actor("two", REGION)
    asked = approvals.ask(asker, question())
    answers = at_once(
        lambda: approvals.decide(one, asked, approve=True),
        lambda: approvals.decide(two, asked, approve=False, answer="No"),
    )
    assert sorted(answers) == ["done", "over"]
    asked.refresh_from_db()
    assert asked.state == (Approval.APPROVED if answers[0] == "done" else Approval.REFUSED)
    assert AuditEntry.objects.filter(action__in=("approval.approved", "approval.refused")).count() == 1


@pytest.mark.django_db(transaction=True)
def test_decided_while_it_changes_it_is_void_whoever_was_first() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    for _ in range(5):
        asked = approvals.ask(asker, question())
        at_once(lambda: approvals.decide(decider, asked, approve=True), lambda: approvals.void(asker, BROADCAST, "b1"))  # noqa: B023
        asked.refresh_from_db()
        assert asked.state == Approval.VOID


@pytest.mark.django_db(transaction=True)
def test_two_questions_at_once_are_one_and_two_uses_at_once_too() -> None:
    asker, decider = actor("asker", REGION), actor("decider", REGION)
    asked = at_once(lambda: approvals.ask(asker, question()), lambda: approvals.ask(asker, question()))
    assert sorted(asked) == ["asked_already", "done"]
    approvals.decide(decider, Approval.objects.get(), approve=True)
    results = at_once(lambda: use(asker), lambda: use(asker))
    assert results.count("done") == 1
