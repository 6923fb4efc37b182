"""Planning people again at a later slot: the morning after quiet hours. The new slot is reserved like any other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.platform import clock
from hetang.touch import governor, ledger
from hetang.touch.models import CANCELLED, TASKED, SendTask, ShortLink


def move_to(task: SendTask, slot: datetime) -> int:
    """Move the unconfirmed people of a task into a new task at `slot`, in the caller's transaction.

    Who would break a cap there is cancelled as capped. Returns how many were moved. The new task has a mark of its own:
    the old one still names what the provider has cancelled.
    """
    programme = task.programme
    where = "t.planned_at = %(planned)s and t.task = %(task)s"
    values = {"planned": programme.planned_at, "task": task.pk}
    with connection.cursor() as cursor:
        governor.lock(cursor, task.channel)
        # Their own reservation must not count against them at the new slot.
        cursor.execute(
            "update touch_touch set reserved = false where planned_at = %s and task = %s and state = 'tasked'",
            [programme.planned_at, task.pk],
        )
        limits = governor.limits(task.channel, programme.message_class, slot)
        if limits.counts:
            people = (
                "t.customer in (select customer from touch_touch where planned_at = %(planned)s and task = %(task)s"
            )
            people = cursor.mogrify(people + " and state = 'tasked')", values)
            sql, params = governor.capped_sql(limits, people)
            cursor.execute(sql, params)
            over = [customer for customer, capped in cursor.fetchall() if capped]
            if over:
                capped = f"{where} and t.customer = any(%(over)s)"
                ledger.move(TASKED, CANCELLED, capped, values | {"over": over}, reason="capped")
    return _into_new_task(task, slot, where, values)


def _into_new_task(task: SendTask, slot: datetime, where: str, values: Mapping[str, Any]) -> int:
    again = _copy(task, slot)
    moved = ledger.move(
        TASKED,
        "planned",
        where,
        dict(values) | {"again": again.pk, "slot": slot, "day": clock.local_day(slot)},
        also="task = %(again)s, slot_at = %(slot)s, local_day = %(day)s, attempt = null",
    )
    if moved:
        SendTask.objects.filter(pk=again.pk).update(people=len(moved))
    else:
        again.delete()
    SendTask.objects.filter(pk=task.pk).update(people=task.people - len(moved))
    return len(moved)


def _copy(task: SendTask, slot: datetime) -> SendTask:
    import secrets

    link = ShortLink.objects.create(
        code=secrets.token_hex(5),
        target=task.programme.target_url,
        programme_id=task.programme_id,
        created_at=clock.now(),
    )
    siblings = SendTask.objects.filter(programme_id=task.programme_id, variant=task.variant, staff=task.staff)
    last = siblings.order_by("-seq").values_list("seq", flat=True)[0]
    return SendTask.objects.create(
        programme_id=task.programme_id,
        channel=task.channel,
        variant=task.variant,
        staff_id=task.staff_id,
        org_node_id=task.org_node_id,
        seq=last + 1,
        link=link,
        slot_at=slot,
    )
