"""What one can do with a programme once it is planned: pause, resume, cancel, remind. And the governor's settings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.touch import governor, planning
from hetang.touch.channels import channel as channel_of
from hetang.touch.errors import ChannelMissing, TouchError
from hetang.touch.governor import LOCK_SPACE
from hetang.touch.models import Cap, PlatformLimit, Programme, QuietHours, Reminder, SendTask, Variant
from hetang.touch.ports import OutcomeUnknown, Refused, TaskChannel
from hetang.touch.rules import CapRule, Request

log = logging.getLogger(__name__)

REMINDERS_A_DAY = 3  # the platform's limit per task in 24 hours


def pause(actor: Actor, programme: Programme) -> None:
    """Hold everybody who is not yet handed over: nothing more is claimed. Tasks that advisers have stay with them.
    Raises TouchError("not_running")."""
    _change(actor, programme, Programme.RUNNING, Programme.PAUSED, "not_running")


def resume(actor: Actor, programme: Programme) -> None:
    """Let go what `pause` held. Raises TouchError("not_paused")."""
    _change(actor, programme, Programme.PAUSED, Programme.RUNNING, "not_paused")


def cancel(actor: Actor, programme: Programme) -> None:
    """Stop for good: what is not sent is cancelled, tasks that advisers have are withdrawn as far as they have not
    confirmed. The work is done by the outcomes loop. Raises TouchError("not_open")."""
    now = (
        Programme.objects.filter(pk=programme.pk, state__in=[Programme.RUNNING, Programme.PAUSED])
        .values_list("state", flat=True)
        .first()
    )
    _change(actor, programme, now or Programme.RUNNING, Programme.CANCELLING, "not_open")


def _change(actor: Actor, programme: Programme, old: str, new: str, code: str) -> None:
    with transaction.atomic():
        changed = Programme.objects.filter(pk=programme.pk, state=old).update(state=new)
        if not changed:
            raise TouchError(code)
        audit.record(
            actor,
            f"programme.{new}",
            "programme",
            programme.public_id,
            {"state": [old, new]},
            programme.org_node_id,
        )


@dataclass
class Reminded:
    """What became of a round of reminders, in tasks."""

    done: int = 0
    over_limit: int = 0
    failed: int = 0
    staff: list[str] = field(default_factory=list)  # names of those who were reminded


def remind(actor: Actor, programme: Programme, node_ids: Sequence[int] | None = None) -> Reminded:
    """Remind the senders of unconfirmed tasks (below these nodes), at most three times a task in 24 hours.

    The reminder is written before the call, so a crash can only make us remind less often than allowed.
    """
    tasks = SendTask.objects.filter(programme=programme, state=SendTask.WAITING, confirmed_at=None)
    if node_ids is not None:
        tasks = tasks.filter(org_node_id__in=list(node_ids))
    result = Reminded()
    for task in tasks.select_related("staff").order_by("pk"):
        _remind(task, result)
    if result == Reminded():
        return result  # nobody had to be reminded: nothing was done
    audit.record(
        actor,
        "programme.remind",
        "programme",
        programme.public_id,
        {"done": result.done, "over_limit": result.over_limit, "failed": result.failed},
        programme.org_node_id,
    )
    return result


def _remind(task: SendTask, result: Reminded) -> None:
    reminder = _reserve_reminder(task)
    if reminder is None:
        result.over_limit += 1
        return
    try:
        plugged = channel_of(task.channel)
        if not isinstance(plugged, TaskChannel):
            raise ChannelMissing(task.channel)
        plugged.remind(task.provider_id)
    except (Refused, OutcomeUnknown, ChannelMissing) as problem:
        log.warning("reminder of task %s: %s", task.pk, problem)
        limit = isinstance(problem, Refused) and problem.code == "reminder_limit"
        result.over_limit += limit
        result.failed += not limit
        Reminder.objects.filter(pk=reminder.pk).update(outcome="limit" if limit else "failed")
    else:
        result.done += 1
        result.staff.append(task.staff.name if task.staff else "")
        Reminder.objects.filter(pk=reminder.pk).update(outcome="done")


def _reserve_reminder(task: SendTask) -> Reminder | None:
    """Write down a reminder unless there were three in 24 hours; the lock keeps two people from making a fourth."""
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE + 1, task.pk % 2**31])
        recent = Reminder.objects.filter(task=task, at__gt=now - timedelta(hours=24)).exclude(outcome="failed")
        if recent.count() >= REMINDERS_A_DAY:
            return None
        return Reminder.objects.create(task=task, at=now)


def save_governor(
    actor: Actor,
    caps: Sequence[CapRule],
    platform: dict[str, tuple[str, int | None]],
    quiet: tuple[bool, time, time],
) -> None:
    """Store the governor's settings: caps, the platform's cap per channel as (mode, limit), quiet hours.

    They hold for plans made from now on. Raises TouchError("cap_invalid").
    """
    if any(not 1 <= cap.limit <= 100 or not 1 <= cap.days <= 60 for cap in caps):
        raise TouchError("cap_invalid")
    if len({(cap.channel, cap.days) for cap in caps}) != len(caps):
        raise TouchError("cap_twice")
    before = _settings()
    with transaction.atomic():
        governor.set_caps(caps)
        for channel, (mode, limit) in platform.items():
            PlatformLimit.objects.update_or_create(channel=channel, defaults={"mode": mode, "limit": limit})
        on, start, end = quiet
        QuietHours.objects.update_or_create(id=1, defaults={"on": on, "start": start, "end": end})
        audit.record(actor, "governor.save", "governor", 1, {"settings": [before, _settings()]})


def _settings() -> dict[str, Any]:
    hours = QuietHours.objects.filter(id=1).first()
    return {
        "caps": [[cap.channel, cap.limit, cap.days] for cap in Cap.objects.order_by("channel", "days")],
        "platform": {row.channel: [row.mode, row.limit] for row in PlatformLimit.objects.order_by("channel")},
        "quiet": [hours.on, f"{hours.start:%H:%M}", f"{hours.end:%H:%M}"] if hours else None,
    }


@dataclass(frozen=True)
class Draft:
    """A programme about to be launched. `public_id` makes it idempotent: launching twice is launching once."""

    public_id: UUID
    name: str
    expires_at: datetime
    variants: tuple[tuple[str, list[dict[str, Any]], int], ...]  # (text, attachments, weight), numbered from 1
    target_url: str = ""
    window_days: int = 7
    campaign_id: int | None = None
    org_node_id: int | None = None
    replan_after_quiet: bool = True


def launch(draft: Draft, members: bytes, request: Request) -> Programme:
    """Open a programme and its plan over an audience (roaring bytes) in one transaction; the planning loop (or
    `planning.run`) does the rest. Raises TouchError("slot_too_far") beyond two months."""
    now = clock.now()
    if request.slot_at - now > timedelta(days=governor.PLANNED_AHEAD_DAYS - 1):
        raise TouchError("slot_too_far", days=governor.PLANNED_AHEAD_DAYS - 1)
    with transaction.atomic():
        programme, fresh = Programme.objects.get_or_create(
            public_id=draft.public_id,
            defaults={
                "name": draft.name,
                "campaign_id": draft.campaign_id,
                "org_node_id": draft.org_node_id,
                "channel": request.channel,
                "message_class": request.message_class,
                "state": Programme.PLANNING,
                "planned_at": now,
                "slot_at": request.slot_at,
                "expires_at": draft.expires_at,
                "window_days": draft.window_days,
                "target_url": draft.target_url,
                "replan_after_quiet": draft.replan_after_quiet,
            },
        )
        if fresh:
            Variant.objects.bulk_create(
                Variant(programme=programme, number=number, text=text, attachments=attachments, weight=weight)
                for number, (text, attachments, weight) in enumerate(draft.variants, start=1)
            )
            planning.begin(members, request, programme)
    return programme
