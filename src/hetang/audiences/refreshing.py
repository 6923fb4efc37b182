"""Refreshing audiences when it is their time: live ones once a minute, scheduled ones at their local time."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from hetang.audiences import services
from hetang.audiences.models import Audience
from hetang.audiences.schedules import LONGEST, next_run
from hetang.platform import clock

log = logging.getLogger(__name__)

REFRESH_EVERY = timedelta(minutes=1)
RETRY_AFTER = timedelta(minutes=5)  # a scheduled audience that could not be refreshed
IDLE_S = 5.0


def refresh_due() -> float:
    """Refresh the due audience that has waited longest. Returns seconds until the next look (0: at once)."""
    now = clock.now()
    due = _due(now).order_by(F("refreshed_at").asc(nulls_first=True), "id").first()
    if due is None:
        return IDLE_S
    try:
        services.take_snapshot(due.id)
    except Exception as problem:
        log.warning("audience %s was not refreshed: %s", due.id, problem)
        _note(due, now, problem=str(problem)[:300])
    else:
        _note(due, now)
    return 0.0


def _due(now: datetime) -> QuerySet[Audience]:
    waiting = Audience.objects.filter(archived_at=None)
    live = Q(live=True) & (Q(refreshed_at=None) | Q(refreshed_at__lte=now - REFRESH_EVERY) | Q(refreshed_at__gt=now))
    scheduled = Q(next_refresh_at__lte=now) | Q(next_refresh_at__gt=now + LONGEST)
    return waiting.filter(live | scheduled)


def _note(due: Audience, now: datetime, problem: str = "") -> None:
    """When it is next due, unless somebody has changed the schedule meanwhile."""
    same = Audience.objects.filter(id=due.id)
    if due.live and problem:
        same.update(refreshed_at=now, problem=problem)
    schedule = due.schedule
    if schedule is None:
        return
    following = now + RETRY_AFTER if problem else next_run(schedule, now, clock.zone())
    same.filter(next_refresh_at=due.next_refresh_at).update(next_refresh_at=following)
    if problem:
        same.update(problem=problem)
