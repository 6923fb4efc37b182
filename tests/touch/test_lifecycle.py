"""From the claim to the last state, with a provider that does what the test says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from hetang.customers.models import Consent, DoNotDisturb
from hetang.facts.models import Fact
from hetang.platform import clock
from hetang.platform.access import Scope, system
from hetang.resources.models import Staff
from hetang.touch import channels, dispatch, ledger, outcomes, planning, queries, services
from hetang.touch.models import Cap, Programme, SendTask, ShortLink, Touch
from hetang.touch.ports import OutcomeUnknown, PersonResult, Refused, SenderState, TaskRequest
from tests.touch.world import NOW, organisation, people, request

pytestmark = pytest.mark.django_db
HEAD = system("test")
SLOT = NOW + timedelta(hours=1)


class Provider:
    """A task channel in memory; nobody confirms until the test says so."""

    people_per_task = 10_000

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRequest] = {}
        self.confirmed: set[str] = set()
        self.cancelled: list[str] = []
        self.reminded: list[str] = []
        self.states: dict[str, str] = {}  # of people, where not "sent"
        self.raises: list[Exception] = []
        self.hidden = False

    def create_task(self, request: TaskRequest) -> str:
        problem = self.raises.pop(0) if self.raises else None
        if isinstance(problem, Refused):
            raise problem
        name = f"m{len(self.tasks) + 1}"
        self.tasks[name] = request
        if problem is not None:
            raise problem
        return name

    def find_task(self, mark: str, since: datetime) -> str | None:
        found = [name for name, task in self.tasks.items() if mark in task.text]
        return found[0] if found and not self.hidden else None

    def task_states(self, provider_id: str) -> list[SenderState]:
        return [SenderState(self.tasks[provider_id].sender, provider_id in self.confirmed, clock.now())]

    def results(self, provider_id: str, sender: str) -> list[PersonResult]:
        task = self.tasks[provider_id]
        return [
            PersonResult(one, self.states.get(one, "sent"), clock.now())  # type: ignore[arg-type]
            for one in task.recipients
        ]

    def remind(self, provider_id: str) -> None:
        self.reminded.append(provider_id)

    def cancel(self, provider_id: str) -> None:
        self.cancelled.append(provider_id)

    def upload_image(self, data: bytes, name: str) -> str:
        return name


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    made = Provider()
    settings.CHANNELS = {"wecom": "tests.touch.test_lifecycle:shared"}
    _SHARED.append(made)
    channels.channel.cache_clear()
    yield made
    _SHARED.clear()
    channels.channel.cache_clear()


_SHARED: list[Provider] = []


def shared() -> Provider:
    return _SHARED[-1]


@pytest.fixture
def staff() -> list[Staff]:
    return organisation()


def launched(staff: list[Staff], count: int = 40, **changes: Any) -> Programme:
    draft = services.Draft(
        uuid.uuid4(), "Test", SLOT + timedelta(days=3), (("Hello", [], 1),), "https://shop.example/", **changes
    )
    programme = services.launch(draft, people(count, staff).serialize(), request(slot_at=SLOT))
    planning.run(programme.plan)
    clock.freeze(SLOT)
    return Programme.objects.get(pk=programme.pk)


def send_all() -> None:
    while dispatch.send_next():
        pass


def settle() -> None:
    """Let everything that is due be looked at, whatever the pauses between looks."""
    SendTask.objects.filter(next_look_at__isnull=False).update(next_look_at=datetime.now(UTC))
    outcomes.run_once()


def states(programme: Programme) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (_, _, state, reason), count in ledger.tally(programme.pk).items():
        found[state, reason] = found.get((state, reason), 0) + count
    with connection.cursor() as cursor:
        cursor.execute(
            "select state, reason, count(*) from touch_touch where programme = %s group by 1, 2", [programme.pk]
        )
        assert found == {(state, reason): count for state, reason, count in cursor.fetchall()}
    return found


def test_nothing_leaves_before_the_slot(staff: list[Staff], provider: Provider) -> None:
    launched(staff)
    clock.freeze(SLOT - timedelta(seconds=1))
    assert dispatch.claim() is None


def test_tasks_carry_their_own_mark_and_wait_for_the_tap(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    send_all()
    assert states(programme) == {("tasked", ""): 40}
    marks = {task.link for task in provider.tasks.values()}
    assert len(marks) == 4
    assert all(task.text == f"Hello\n{task.link}" for task in provider.tasks.values())
    assert sorted(task.sender for task in provider.tasks.values()) == ["u0_0", "u0_1", "u1_0", "u1_1"]


def test_results_become_states_and_set_facts(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    send_all()
    provider.states = {"ext1": "not_friend", "ext2": "limit", "ext3": "unsent"}
    provider.confirmed = set(provider.tasks)
    settle()
    assert states(programme) == {
        ("sent", ""): 37,
        ("failed", "not_friend"): 1,
        ("failed", "platform_limit"): 1,
        ("tasked", ""): 1,
    }
    assert sorted(Fact.objects.values_list("kind", flat=True)) == ["touch.failed"] * 2 + ["touch.sent"] * 4
    del provider.states["ext3"]
    settle()
    settle()
    assert states(programme)["sent", ""] == 38
    programme.refresh_from_db()
    assert programme.state == Programme.DONE
    assert list(SendTask.objects.values_list("sent", "failed").order_by("sent", "failed")) == [
        *((9, 1), (9, 1), (10, 0), (10, 0)),
    ]


def test_a_dropped_answer_is_found_by_its_mark_and_never_sent_again(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    provider.raises = [OutcomeUnknown("lost")]
    send_all()
    assert states(programme) == {("unknown", ""): 10, ("tasked", ""): 30}
    provider.hidden = True  # the provider's list lags
    assert not dispatch.reconcile()
    assert states(programme)["unknown", ""] == 10
    provider.hidden = False
    SendTask.objects.filter(state="unknown").update(next_look_at=datetime.now(UTC))
    assert dispatch.reconcile()
    assert states(programme) == {("tasked", ""): 40}
    assert len(provider.tasks) == 4


def test_what_never_arrived_is_sent_again_only_after_the_grace_period(
    staff: list[Staff], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme = launched(staff, 10)
    task = dispatch.claim()  # and then the dispatcher dies
    assert task is not None
    SendTask.objects.filter(pk=task.pk).update(claim_expires=datetime.now(UTC) - timedelta(seconds=1))
    assert dispatch.recover()
    assert not dispatch.reconcile()
    assert SendTask.objects.get(pk=task.pk).state == "unknown"
    late = datetime.now(UTC) - timedelta(seconds=dispatch.GRACE_S + 1)
    SendTask.objects.filter(pk=task.pk).update(claim_expires=late, next_look_at=late)
    assert dispatch.reconcile()
    send_all()
    assert sum(len(one.recipients) for one in provider.tasks.values()) == 10
    assert states(programme) == {("tasked", ""): 10}


def test_a_clock_that_went_back_by_hours_puts_nothing_off(staff: list[Staff], provider: Provider) -> None:
    launched(staff, 10)
    task = dispatch.claim()  # dies with it
    assert task is not None
    ahead = datetime.now(UTC) + timedelta(hours=2)
    SendTask.objects.filter(pk=task.pk).update(claim_expires=ahead, next_look_at=ahead)
    assert dispatch.recover()
    task.refresh_from_db()
    assert task.state == "unknown"
    assert task.claim_expires is not None
    assert task.claim_expires < datetime.now(UTC) + timedelta(minutes=2), "its grace is minutes, not hours"
    late = datetime.now(UTC) - timedelta(seconds=dispatch.GRACE_S + 1)
    SendTask.objects.filter(pk=task.pk).update(claim_expires=late, next_look_at=ahead)
    assert dispatch.reconcile(), "it was looked for, and is released"
    SendTask.objects.filter(pk=task.pk).update(next_look_at=ahead)
    send_all()
    SendTask.objects.filter(pk=task.pk).update(next_look_at=ahead)
    assert SendTask.objects.get(pk=task.pk).state == "waiting"
    outcomes.run_once()
    task.refresh_from_db()
    assert task.next_look_at is not None
    assert task.next_look_at < ahead, "it was looked at"


def test_a_late_answer_of_a_lost_claim_changes_nothing(staff: list[Staff], provider: Provider) -> None:
    launched(staff, 10)
    first = dispatch.claim()
    assert first is not None
    SendTask.objects.filter(pk=first.pk).update(state="created", attempt=None)
    again = dispatch.claim()
    assert again is not None and again.pk == first.pk
    assert not dispatch.accept(first, "m9")
    assert dispatch.accept(again, "m1")


def test_refusals(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    provider.raises = [Refused("busy", permanent=False), Refused("text_too_long")]
    send_all()
    assert states(programme) == {("planned", ""): 10, ("failed", "refused"): 10, ("tasked", ""): 20}
    SendTask.objects.filter(state="created").update(next_look_at=datetime.now(UTC))
    send_all()
    assert states(programme) == {("failed", "refused"): 10, ("tasked", ""): 30}


def test_who_withdraws_after_the_plan_is_left_out(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff, 8)
    Consent.objects.filter(customer_id=1).update(given=False)
    DoNotDisturb.objects.create(customer_id=2, on=True, occurred_at=NOW, fact_key="", source="t")
    send_all()
    assert states(programme) == {("cancelled", "withdrawn"): 2, ("tasked", ""): 6}
    reached = {one for task in provider.tasks.values() for one in task.recipients}
    assert not reached & {"ext1", "ext2"}


def test_unconfirmed_tasks_are_withdrawn_at_night_and_planned_again_in_the_morning(
    staff: list[Staff], provider: Provider
) -> None:
    programme = launched(staff)
    send_all()
    provider.confirmed = {"m1"}
    clock.freeze(NOW + timedelta(hours=12))  # 22:00
    settle()
    assert sorted(provider.cancelled) == ["m1", "m2", "m3", "m4"]  # that m1 was confirmed came out by reading after it
    assert states(programme) == {("sent", ""): 10, ("planned", ""): 30}
    assert dispatch.claim() is None
    clock.freeze(NOW + timedelta(hours=22))  # 08:00
    send_all()
    assert len(provider.tasks) == 7
    assert len({task.link for task in provider.tasks.values()}) == 7
    assert states(programme) == {("sent", ""): 10, ("tasked", ""): 30}
    assert sum(SendTask.objects.values_list("people", flat=True)) == 40
    slots = set(Touch.objects.filter(state="tasked").values_list("slot_at", flat=True))
    assert slots == {NOW + timedelta(hours=22)}


def test_planning_again_keeps_the_caps(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff, 4)
    send_all()
    Cap.objects.all().delete()
    Cap.objects.create(channel="wecom", limit=1, days=7)
    morning = NOW + timedelta(hours=22)
    with connection.cursor() as cursor:  # somebody else reserved customer 1 for three days after
        cursor.execute(
            "insert into touch_touch (planned_at, slot_at, programme, customer, task, local_day, channel,"
            " message_class, address) values (%s, %s, 0, 1, 0, %s, 'wecom', 'marketing', '')",
            [NOW, morning + timedelta(days=3), NOW.date()],
        )
    clock.freeze(NOW + timedelta(hours=12))
    settle()
    assert states(programme) == {("cancelled", "capped"): 1, ("planned", ""): 3}


def test_without_replanning_the_night_ends_it(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff, 8, replan_after_quiet=False)
    send_all()
    clock.freeze(NOW + timedelta(hours=12))
    settle()
    settle()
    assert states(programme) == {("cancelled", "quiet_hours"): 8}
    programme.refresh_from_db()
    assert programme.state == Programme.DONE


def test_what_is_never_confirmed_expires_and_gives_its_reservation_back(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff, 8)
    send_all()
    provider.confirmed = {"m1"}
    clock.freeze(SLOT + timedelta(days=3))
    settle()
    assert states(programme) == {("sent", ""): 2, ("expired", "unconfirmed"): 6}
    assert Touch.objects.filter(reserved=True).count() == 2
    assert sorted(provider.cancelled) == ["m1", "m2", "m3", "m4"]


def test_pause_holds_resume_goes_on_cancel_ends(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    dispatch.send_next()
    services.pause(HEAD, programme)
    assert not dispatch.send_next()
    programme.refresh_from_db()
    assert queries.progress(programme).open == {"held": 30, "tasked": 10}
    assert queries.consequence(programme) == queries.Consequence(30, 10, 0, 0)
    services.resume(HEAD, programme)
    dispatch.send_next()
    provider.confirmed = {"m1"}
    services.cancel(HEAD, programme)
    settle()
    settle()
    assert states(programme) == {("sent", ""): 10, ("cancelled", "cancelled"): 30}
    programme.refresh_from_db()
    assert programme.state == Programme.CANCELLED


def test_a_cancel_finds_out_first_what_is_unknown(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff, 4)
    provider.raises = [OutcomeUnknown("lost")]
    send_all()
    services.cancel(HEAD, programme)
    settle()
    assert states(programme)["unknown", ""] == 1
    dispatch.reconcile()
    settle()
    assert states(programme) == {("cancelled", "cancelled"): 4}
    assert sorted(provider.cancelled) == ["m1", "m2", "m3", "m4"]


def test_three_reminders_a_day_and_only_to_whom_it_concerns(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    send_all()
    provider.confirmed = {"m1"}
    settle()
    assert services.remind(HEAD, programme, [staff[2].org_node_id]).done == 2
    for _ in range(2):
        services.remind(HEAD, programme)
    last = services.remind(HEAD, programme)
    assert (last.done, last.over_limit) == (1, 2)  # the adviser of the other store has one left
    clock.freeze(SLOT + timedelta(hours=25))
    assert services.remind(HEAD, programme).done == 3
    assert "m1" not in provider.reminded


def test_progress_by_region_store_and_adviser_adds_up(staff: list[Staff], provider: Provider) -> None:
    programme = launched(staff)
    send_all()
    provider.confirmed = {"m1", "m2"}
    settle()
    lines = queries.by_organisation(programme, Scope((), everything=True))
    assert [(line.name, line.tasks, line.confirmed, line.people) for line in lines] == [
        ("Brand", 4, 2, 40),
        ("East", 4, 2, 40),
        ("Store 0", 2, 2, 20),
        ("Adviser 0.0", 1, 1, 10),
        ("Adviser 0.1", 1, 1, 10),
        ("Store 1", 2, 0, 20),
        ("Adviser 1.0", 1, 0, 10),
        ("Adviser 1.1", 1, 0, 10),
    ]
    one_store = queries.by_organisation(programme, Scope((staff[2].org_node.path,)))
    assert [line.name for line in one_store] == ["Store 1", "Adviser 1.0", "Adviser 1.1"]


def test_quota_counts_people_by_messages_used(staff: list[Staff], provider: Provider) -> None:
    launched(staff)
    send_all()
    used = queries.quota("wecom", NOW)
    assert used is not None
    assert (used.limit, used.people_by_used, used.used_up) == (31, {1: 40}, 0)


def test_clicks_are_counted_and_told(staff: list[Staff], provider: Provider) -> None:
    from hetang.touch.links import follow

    programme = launched(staff, 4)
    link = ShortLink.objects.order_by("code")[0]
    assert follow(link.code) == "https://shop.example/"
    assert follow(link.code, count=False) == "https://shop.example/"
    assert queries.progress(programme).clicks == 1
    fact = Fact.objects.get(kind="link.clicked")
    assert fact.body["programme"] == programme.pk
