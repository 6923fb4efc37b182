"""What became of tasks: polling of results, expiry, quiet hours, cancellation. Each outcome is told as a set fact."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from pyroaring import BitMap

from hetang.facts.intake import Draft, record
from hetang.platform import clock
from hetang.touch import ledger, replanning
from hetang.touch.channels import channel as channel_of
from hetang.touch.channels import is_direct
from hetang.touch.errors import ChannelMissing
from hetang.touch.governor import quiet
from hetang.touch.models import (
    CANCELLED,
    EXPIRED,
    FAILED,
    PLANNED,
    SENT,
    TASKED,
    Programme,
    SendTask,
)
from hetang.touch.ports import OutcomeUnknown, PersonResult, Refused, SenderState, TaskChannel

log = logging.getLogger(__name__)

IDLE_S = 1.0
SOONEST_LOOK_S = 2.0
LATEST_LOOK_S = 300.0
_AT_ONCE = 20
_FAILURES = {"not_friend": "not_friend", "limit": "platform_limit"}


def run_once() -> float:
    """Settle cancellations, quiet hours and expiry, then look at the tasks whose turn it is."""
    busy = _cancel_programmes()
    busy |= _withdraw_for_quiet_hours()
    busy |= _expire()
    busy |= _poll_due()
    _finish_programmes()
    return 0.0 if busy else IDLE_S


def move_task(task: SendTask, old: str, new: str, *, reason: str = "", also: str = "", **values: Any) -> list[int]:
    """Move all people of a task that are in state `old`; returns them. In the caller's transaction."""
    where = "t.planned_at = %(planned)s and t.task = %(task)s"
    return ledger.move(
        old, new, where, values | {"planned": task.programme.planned_at, "task": task.pk}, reason=reason, also=also
    )


def tell(task: SendTask, kind: str, customers: Sequence[int], reason: str = "") -> None:
    """Record one set fact for these people. The key is theirs: a person of a task is settled once."""
    if not customers:
        return
    programme = task.programme
    body = {
        "programme": programme.pk,
        "channel": task.channel,
        "message_class": programme.message_class,
        "reason": reason,
    }
    key = f"task:{task.pk}:{kind}:{reason}:{min(customers)}"
    record("touch", [Draft(kind, key, clock.now(), body=body, members=BitMap(customers).serialize())])


def _poll_due() -> bool:
    now = datetime.now(UTC)
    turn = Q(next_look_at__lte=now) | Q(
        next_look_at__gt=now + 2 * timedelta(seconds=LATEST_LOOK_S)
    )  # the clock went back
    due = SendTask.objects.filter(turn, state=SendTask.WAITING)
    found = list(due.select_related("programme", "staff").order_by("next_look_at")[:_AT_ONCE])
    for task in found:
        poll(task)
    return len(found) == _AT_ONCE


def poll(task: SendTask) -> int:
    """Ask the provider about a waiting task and record what it says; returns how many people were settled."""
    try:
        plugged = _task_channel(task.channel)
        states = plugged.task_states(task.provider_id)
        confirmed = next((state for state in states if task.staff and state.userid == task.staff.userid), None)
        ready = confirmed is not None and confirmed.confirmed
        results = plugged.results(task.provider_id, task.staff.userid) if ready and task.staff else []
    except (OutcomeUnknown, Refused, ChannelMissing) as problem:
        log.warning("task %s cannot be looked at: %s", task.pk, problem)
        _look_again(task)
        return 0
    settled = settle(task, confirmed, results) if ready else 0
    if settled == 0:
        _look_again(task)
    return settled


def _look_again(task: SendTask) -> None:
    pause = min(LATEST_LOOK_S, SOONEST_LOOK_S * 1.5 ** min(task.looks, 20))
    SendTask.objects.filter(pk=task.pk).update(
        looks=F("looks") + 1, next_look_at=datetime.now(UTC) + timedelta(seconds=pause)
    )


def settle(task: SendTask, confirmed: SenderState | None, results: list[PersonResult]) -> int:
    """Write the results of a confirmed task: sent, not a friend, platform limit. People without a result stay."""
    with transaction.atomic():
        sent = _settle(task, results, "sent", SENT)
        tell(task, "touch.sent", sent)
        failed = 0
        for state, reason in _FAILURES.items():
            people = _settle(task, results, state, FAILED, reason)
            tell(task, "touch.failed", people, reason)
            failed += len(people)
        changes: dict[str, Any] = {"sent": F("sent") + len(sent), "failed": F("failed") + failed}
        if confirmed is not None:
            changes["confirmed_at"] = confirmed.at or clock.now()
        SendTask.objects.filter(pk=task.pk).update(looks=0, next_look_at=datetime.now(UTC), **changes)
        _close_if_settled(task)
    return len(sent) + failed


def _settle(task: SendTask, results: list[PersonResult], state: str, new: str, reason: str = "") -> list[int]:
    chosen = [result for result in results if result.state == state]
    if not chosen:
        return []
    return ledger.move(
        TASKED,
        new,
        "t.planned_at = %(planned)s and t.task = %(task)s and t.address = r.address",
        {
            "planned": task.programme.planned_at,
            "task": task.pk,
            "addresses": [result.external_userid for result in chosen],
            "times": [result.at or clock.now() for result in chosen],
        },
        reason=reason,
        also="sent_at = r.at" if new == SENT else "",
        source="unnest(%(addresses)s::text[], %(times)s::timestamptz[]) as r(address, at)",
    )


def _close_if_settled(task: SendTask) -> None:
    """A task without open people is done."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update touch_sendtask k set state = 'done', next_look_at = null where id = %s and state = 'waiting'"
            " and not exists (select 1 from touch_touch t where t.planned_at = %s and t.task = k.id"
            " and t.state in ('planned', 'claimed', 'tasked', 'unknown'))",
            [task.pk, task.programme.planned_at],
        )


def _expire() -> bool:
    """Tasks nobody confirmed in time: stopped at the provider, read once more, and what is left expires."""
    late = SendTask.objects.filter(
        Q(programme__expires_at__lte=clock.now()), state__in=[SendTask.WAITING, SendTask.CREATED]
    )
    found = list(late.select_related("programme", "staff").order_by("id")[:_AT_ONCE])
    for task in found:
        withdraw_task(task, SendTask.EXPIRED, EXPIRED, "unconfirmed")
    return bool(found)


def _cancel_programmes() -> bool:
    """Programmes that somebody cancelled: every open task is withdrawn; unknown ones are found out first."""
    open_tasks = SendTask.objects.filter(
        programme__state=Programme.CANCELLING, state__in=[SendTask.WAITING, SendTask.CREATED]
    )
    found = list(open_tasks.select_related("programme", "staff").order_by("id")[:_AT_ONCE])
    for task in found:
        withdraw_task(task, SendTask.CANCELLED, CANCELLED, "cancelled")
    return bool(found)


def _withdraw_for_quiet_hours() -> bool:
    """At the start of quiet hours nobody may tap any more: unconfirmed marketing tasks are stopped, and planned again
    for the next morning where the programme says so."""
    until = quiet(clock.now(), "marketing")
    if until is None:
        return False
    waiting = SendTask.objects.filter(state=SendTask.WAITING, confirmed_at=None, programme__message_class="marketing")
    found = list(waiting.select_related("programme", "staff").order_by("id")[:_AT_ONCE])
    for task in found:
        withdraw_task(task, SendTask.CANCELLED, CANCELLED, "quiet_hours", replan_at=until)
    return bool(found)


def withdraw_task(
    task: SendTask, task_state: str, people_state: str, reason: str, replan_at: datetime | None = None
) -> None:
    """Stop a task at the provider, read what had gone out by then, and close the rest. May be repeated."""
    if task.state == SendTask.WAITING and not _stop_at_provider(task):
        return
    with transaction.atomic():
        held = SendTask.objects.select_for_update().filter(pk=task.pk, state__in=[SendTask.WAITING, SendTask.CREATED])
        if not held.exists():
            return  # claimed or settled by somebody else meanwhile
        morning = replan_at if replan_at and replan_at < task.programme.expires_at else None
        if morning and task.programme.replan_after_quiet:
            replanning.move_to(task, morning)
        for old in (PLANNED, TASKED):
            move_task(task, old, people_state, reason=reason)
        held.update(state=task_state, next_look_at=None)


def _stop_at_provider(task: SendTask) -> bool:
    """Cancel first, then read: nothing can go out between the reading and our books. False: try again later."""
    try:
        plugged = _task_channel(task.channel)
        plugged.cancel(task.provider_id)
    except Refused as refusal:
        log.warning("task %s cannot be cancelled: %s", task.pk, refusal)
        if not refusal.permanent:
            return False
    except (OutcomeUnknown, ChannelMissing) as problem:
        log.warning("task %s cannot be cancelled: %s", task.pk, problem)
        return False
    poll(task)
    return True


def _finish_programmes() -> None:
    """A programme without open tasks is done, or cancelled if that is what was asked."""
    ends = {Programme.RUNNING: Programme.DONE, Programme.CANCELLING: Programme.CANCELLED}
    for state, end in ends.items():
        open_task = SendTask.objects.filter(
            state__in=[SendTask.CREATED, SendTask.CLAIMED, SendTask.UNKNOWN, SendTask.WAITING]
        ).values("programme_id")
        Programme.objects.filter(state=state).exclude(pk__in=open_task).update(state=end, finished_at=clock.now())


def _task_channel(name: str) -> TaskChannel:
    plugged = channel_of(name)
    if is_direct(name) or not isinstance(plugged, TaskChannel):
        raise TypeError(f"{name} does not take tasks")
    return plugged
