"""Telling people about alerts: one row a message, claimed before it is sent, tried again with growing pauses.

A message whose sending was cut off may arrive twice; both carry the same Message-ID or Idempotency-Key.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import translation

from hetang.operations import configured, mail, webhook
from hetang.operations.errors import NotDelivered
from hetang.operations.messages import message_of
from hetang.operations.models import Notice
from hetang.platform.loops import Loop

log = logging.getLogger(__name__)

IDLE_S = 6.0  # long enough to give the database connection back
ATTEMPTS = 9  # the last about four hours after the first
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
_AT_ONCE = 20

_ROADS = {Notice.MAIL: (mail.is_set, mail.send), Notice.WEBHOOK: (webhook.is_set, webhook.send)}


def roads() -> list[str]:
    """The roads that are set up."""
    return [road for road, (is_set, _send) in _ROADS.items() if is_set()]


def write(alert_ids: list[int], event: str, now: datetime) -> None:
    """Plan the messages about these alerts by every road, once for each event."""
    planned = [
        Notice(alert_id=alert_id, event=event, road=road, next_try_at=now) for alert_id in alert_ids for road in roads()
    ]
    Notice.objects.bulk_create(planned, ignore_conflicts=True)


def run_once() -> float:
    """Send what is due. Returns seconds until the next look."""
    due = Notice.objects.filter(state=Notice.WAITING, next_try_at__lte=datetime.now(UTC))
    for notice in due.select_related("alert").order_by("next_try_at", "id")[:_AT_ONCE]:
        if _claim(notice):
            _deliver(notice)
    return IDLE_S


loop = Loop("operations.notices", run_once)


def _claim(notice: Notice) -> bool:
    """Take a message for this try; False when another process was first."""
    same = Notice.objects.filter(pk=notice.pk, state=Notice.WAITING, attempts=notice.attempts)
    pause = min(_FIRST_PAUSE * 2**notice.attempts, _LONGEST_PAUSE)
    taken = same.update(attempts=F("attempts") + 1, next_try_at=datetime.now(UTC) + pause)
    notice.attempts += 1
    return bool(taken)


def _deliver(notice: Notice) -> None:
    is_set, send = _ROADS[notice.road]
    mine = Notice.objects.filter(pk=notice.pk, state=Notice.WAITING, attempts=notice.attempts)
    try:
        if not is_set():
            raise NotDelivered("not_set_up", permanent=True)
        with translation.override(configured.text("notify.language")):
            send(message_of(notice))
    except NotDelivered as problem:
        log.warning("notice %d by %s was not delivered: %s", notice.pk, notice.road, problem)
        given_up = problem.permanent or notice.attempts >= ATTEMPTS
        mine.update(state=Notice.FAILED if given_up else Notice.WAITING, error=str(problem)[:300])
    else:
        mine.update(state=Notice.SENT, sent_at=datetime.now(UTC), error="")
