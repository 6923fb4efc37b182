"""Episodes of alerts: a trouble that lasts becomes one alert, is told once, and told once more when it is over.

One row a trouble while it lasts (a unique index over kind and subject), one row a notice (alert, event, road), both
written before anything is sent. Safe to run twice at the same time.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from hetang.operations import conditions, notices
from hetang.operations.alert_kinds import KINDS, TEST
from hetang.operations.conditions import Condition, Source
from hetang.operations.models import Alert, Notice
from hetang.platform import audit
from hetang.platform.access import Actor
from hetang.platform.loops import Loop
from hetang.platform.models import User

log = logging.getLogger(__name__)

LOOK_S = 15.0
KEPT = timedelta(days=400)

_SEE = """
insert into operations_alert (kind, subject, severity, detail, first_seen_at, last_seen_at)
select c.kind, c.subject, c.severity, c.detail, %(now)s, %(now)s
from json_to_recordset(%(conditions)s::json) as c(kind text, subject text, severity text, detail jsonb)
on conflict (kind, subject) where closed_at is null
do update set last_seen_at = excluded.last_seen_at, severity = excluded.severity, detail = excluded.detail
returning id
"""
_OPEN = """
update operations_alert a set opened_at = %(now)s
from json_to_recordset(%(kinds)s::json) as k(kind text, patience float8, calm float8)
where a.id = any(%(seen)s) and a.kind = k.kind and a.opened_at is null
  and a.first_seen_at <= %(now)s - k.patience * interval '1 second'
returning a.id
"""
_CLOSE = """
update operations_alert a set closed_at = %(now)s
from json_to_recordset(%(kinds)s::json) as k(kind text, patience float8, calm float8)
where a.closed_at is null and a.opened_at is not null and not a.id = any(%(seen)s) and a.kind = k.kind
  and a.last_seen_at <= %(now)s - k.calm * interval '1 second'
returning a.id
"""
_FORGET = """
delete from operations_alert
where closed_at is null and opened_at is null and kind = any(%(looked_at)s) and not id = any(%(seen)s)
"""
_END_UNKNOWN = "update operations_alert set closed_at = %(now)s where closed_at is null and not kind = any(%(known)s)"


@dataclass(frozen=True)
class Change:
    """The alerts that began and those that are over, by number."""

    opened: list[int]
    closed: list[int]


def run_once() -> float:
    """Look at everything once. Returns seconds until the next look."""
    found, looked_at = look(conditions.SOURCES)
    note(found, looked_at, datetime.now(UTC))
    return LOOK_S


loop = Loop("operations.alerts", run_once)


def look(sources: tuple[Source, ...]) -> tuple[list[Condition], set[str]]:
    """What is wrong, and the kinds of which that is known: those of a source that failed are not among them."""
    found: dict[tuple[str, str], Condition] = {}
    looked_at: set[str] = set()
    for source in sources:
        try:
            here = list(source.look())
        except Exception:
            log.exception("the rule %s could not be looked at", source.look.__name__)
            continue
        looked_at |= source.kinds
        found |= {(one.kind, one.subject[:120]): one for one in here}
    return list(found.values()), looked_at


@transaction.atomic
def note(found: list[Condition], looked_at: set[str], now: datetime) -> Change:
    """Write down what is wrong now: alerts begin, go on and end by it, and their notices are written."""
    kinds = [{"kind": k, "patience": KINDS[k].patience_s, "calm": KINDS[k].calm_s} for k in looked_at]
    values: dict[str, Any] = {
        "now": now,
        "conditions": json.dumps([_plain(one) for one in found]),
        "kinds": json.dumps(kinds),
        "looked_at": list(looked_at),
        "known": list(KINDS),
    }
    with connection.cursor() as cursor:
        values["seen"] = _ids(cursor, _SEE, values)
        opened, closed = _ids(cursor, _OPEN, values), _ids(cursor, _CLOSE, values)
        cursor.execute(_FORGET, values)
        cursor.execute(_END_UNKNOWN, values)
    notices.write(opened, Notice.OPENED, now)
    notices.write(closed, Notice.CLOSED, now)
    Alert.objects.filter(closed_at__lt=now - KEPT).delete()
    return Change(opened, closed)


def acknowledge(actor: Actor, user: User, alert_id: int) -> bool:
    """Note that somebody is on it; False when somebody was before, or it is over."""
    with transaction.atomic():
        firing = Alert.objects.filter(pk=alert_id, closed_at=None, acknowledged_at=None).exclude(opened_at=None)
        done = firing.update(acknowledged_at=datetime.now(UTC), acknowledged_by=user)
        if done:
            kind, subject = Alert.objects.values_list("kind", "subject").get(pk=alert_id)
            audit.record(actor, "alert.acknowledged", "alert", alert_id, {"kind": kind, "subject": subject})
    return bool(done)


def test(actor: Actor) -> Alert:
    """Raise and end a test alert, which goes the way of all others; the loop delivers it within seconds."""
    now = datetime.now(UTC)
    times = {"first_seen_at": now, "last_seen_at": now, "opened_at": now, "closed_at": now}
    with transaction.atomic():
        alert = Alert.objects.create(kind=TEST, severity=KINDS[TEST].severity, **times)
        notices.write([alert.pk], Notice.OPENED, now)
        audit.record(actor, "alert.tested", "alert", alert.pk, {"roads": notices.roads()})
    return alert


def _plain(one: Condition) -> dict[str, Any]:
    severity = KINDS[one.kind].severity
    return {"kind": one.kind, "subject": one.subject[:120], "severity": severity, "detail": one.detail}


def _ids(cursor: Any, sql: str, values: dict[str, Any]) -> list[int]:
    cursor.execute(sql, values)
    return [row[0] for row in cursor.fetchall()]
