"""What is wrong at this moment, by the rules of the alerts. Nothing here writes; `hetang.operations.alerting` does.

Times are wall-clock times: an alert is about machines. Each source names the kinds that it can tell of, so that an
alert is never called over because its source could not be read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F

from hetang.connectors.wecom.errors import Action, action_of
from hetang.facts import queries
from hetang.operations import certificates, configured, measures
from hetang.operations.rates import Recent, newest
from hetang.platform import clickhouse, environment
from hetang.platform.backups import commands, folder
from hetang.platform.brand import brand
from hetang.platform.models import ApiKey, JobRun

FAILING_IN_A_ROW = 5
FULL_BYTES, FULL_PERCENT = 1 << 30, 2.0
BUSY_PART = 0.85
LONG_TRANSACTION_S = 900.0
SKEW_S = 30.0
JUMP_S = 60.0
JUMP_TOLD_S = 600.0
_DAY_S = 86_400.0
LATELY = timedelta(days=30)


@dataclass(frozen=True)
class Condition:
    """One thing that is wrong: its kind, what it is about, and numbers for the sentence."""

    kind: str
    subject: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A rule: what it looks at, and the kinds of alerts that it can raise."""

    look: Callable[[], Iterator[Condition]]
    kinds: frozenset[str]


def streams() -> Iterator[Condition]:
    limit = configured.number("watch.lag_s")
    for lag in queries.lags():
        if lag.failed_at is not None:
            yield Condition("stream_stopped", lag.name)
        elif lag.seconds > limit:
            yield Condition("stream_lag", lag.name, {"seconds": round(lag.seconds), "limit": limit})
    held, limit = queries.open_held(), configured.number("watch.held")
    if held >= limit:
        yield Condition("facts_held", "", {"count": held, "limit": limit})


def engine() -> Iterator[Condition]:
    if not clickhouse.available():
        yield Condition("engine_down")


def job_runs() -> Iterator[Condition]:
    """Jobs that stand still; and the last run of each kind that starts by itself, when it failed."""
    minutes = configured.number("watch.stuck_minutes")
    with connection.cursor() as cursor:
        cursor.execute(
            "select public_id, title, extract(epoch from clock_timestamp() - beat_at)::float8 / 60 from platform_jobrun"
            " where state in ('waiting', 'running') and beat_at < clock_timestamp() - %s * interval '1 minute'",
            [minutes],
        )
        for public_id, title, silent in cursor.fetchall():
            detail = {"title": title, "minutes": round(silent), "limit": minutes}
            yield Condition("job_stuck", str(public_id), detail)
    ended = JobRun.objects.filter(created_by=None, state__in=(JobRun.DONE, JobRun.FAILED))
    last = ended.order_by("kind", "-id").distinct("kind").values_list("kind", "state", "title")
    for kind, state, title in last:
        if state == JobRun.FAILED:
            yield Condition("job_failed", kind, {"title": title})


def loops() -> Iterator[Condition]:
    for name, failures in newest("hetang_loop_failing").items():
        if failures >= FAILING_IN_A_ROW:
            yield Condition("loop_failing", name, {"count": round(failures)})


def failures() -> Iterator[Condition]:
    limit = configured.number("watch.failures")
    pages = _pages.growth().get("failed", 0.0)
    if pages >= limit:
        yield Condition("pages_failing", "", {"count": round(pages), "limit": limit})
    sends = _sends.growth().get("failed", 0.0)
    if sends >= limit:
        yield Condition("sends_failing", "", {"count": round(sends), "limit": limit})
    for code in _refusals.growth():
        yield Condition("wecom_refused", code)


def disks() -> Iterator[Condition]:
    """Each disk once, by the first of our folders on it."""
    limit = configured.number("watch.disk_percent")
    seen: set[int] = set()
    for name, path in measures.places().items():
        device = path.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        disk = shutil.disk_usage(path)
        percent = 100.0 * disk.free / disk.total if disk.total else 0.0
        detail = {"percent": f"{percent:.1f}", "free": f"{disk.free / (1 << 30):.1f} GB", "limit": limit}
        if percent < limit:
            yield Condition("disk_low", name, detail)
        if percent < FULL_PERCENT or disk.free < FULL_BYTES:
            yield Condition("disk_full", name, detail)


def backups() -> Iterator[Condition]:
    """Whether there is a way back that is young enough. Not asked of a demo, nor where none is made by itself."""
    if brand().demo or not configured.text("backup.at"):
        return
    limit = configured.number("watch.backup_hours")
    found = folder.newest(commands.backups_folder(environment.home()))
    if found is not None:
        hours = (datetime.now(UTC) - found.manifest.at).total_seconds() / 3600
        if hours > limit:
            yield Condition("backup_old", "", {"hours": round(hours), "limit": limit})
    elif _age_hours() > limit:
        yield Condition("backup_missing")


def archiving() -> Iterator[Condition]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select extract(epoch from clock_timestamp() - coalesce(last_archived_time, stats_reset))::float8 / 60"
            " from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')"
        )
        row = cursor.fetchone()
    if row is not None:
        yield Condition("archive_behind", "", {"minutes": round(row[0] or 0)})


def expiring() -> Iterator[Condition]:
    """Certificates of our addresses, and API keys."""
    days, now = configured.number("watch.expire_days"), datetime.now(UTC)
    for host, port in certificates.ours():
        end = certificates.ends(host, port)
        if end is not None and end <= now:
            yield Condition("certificate_over", host)
        elif end is not None and (end - now).total_seconds() < days * _DAY_S:
            yield Condition("certificate", host, {"days": (end - now).days})
    for key in ApiKey.objects.filter(revoked_at=None, expires_at__gt=now).order_by("expires_at")[:100]:
        if key.expires_at is not None and (key.expires_at - now).total_seconds() < days * _DAY_S:
            yield Condition("api_key", key.prefix, {"name": key.name, "days": (key.expires_at - now).days})
    over = ApiKey.objects.filter(revoked_at=None, expires_at__range=(now - LATELY, now))
    for name, prefix in over.filter(last_used_at__gt=F("expires_at") - LATELY).values_list("name", "prefix")[:100]:
        yield Condition("api_key_over", prefix, {"name": name})


def database() -> Iterator[Condition]:
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute(
            "select extract(epoch from clock_timestamp())::float8, current_setting('max_connections')::int,"
            " count(*), coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8"
            " from pg_stat_activity where backend_type = 'client backend'"
        )
        theirs, limit, used, oldest = cursor.fetchone()
    skew = theirs - (before + time.time()) / 2
    if abs(skew) > SKEW_S:
        yield Condition("clock_wrong", "", {"seconds": round(skew)})
    if used >= limit * BUSY_PART:
        yield Condition("database_busy", "", {"used": used, "limit": limit})
    if oldest > LONG_TRANSACTION_S:
        yield Condition("long_transaction", "", {"minutes": round(oldest / 60)})


def clock_jumps() -> Iterator[Condition]:
    jumped = _watch.jumped()
    if jumped:
        yield Condition("clock_jumped", "", {"seconds": round(jumped)})


class ClockWatch:
    """Compares the wall clock with the steady one between two looks."""

    def __init__(self) -> None:
        self._wall, self._steady = time.time(), time.monotonic()
        self._jump, self._at = 0.0, float("-inf")

    def jumped(self) -> float:
        """By how many seconds the clock jumped within the last ten minutes; 0 if it did not."""
        wall, steady = time.time(), time.monotonic()
        jump = (wall - self._wall) - (steady - self._steady)
        self._wall, self._steady = wall, steady
        if abs(jump) > JUMP_S:
            self._jump, self._at = jump, steady
        return self._jump if steady - self._at < JUMP_TOLD_S else 0.0


def _is_configuration(code: str) -> bool:
    return code.lstrip("-").isdigit() and code != "0" and action_of(int(code)) is Action.CONFIGURATION


_watch = ClockWatch()
_pages = Recent("hetang_http_requests_total", lambda labels: "failed" if labels["status"].startswith("5") else "")
_sends = Recent("hetang_sends_total", lambda labels: "" if labels["outcome"] == "accepted" else "failed")
_refusals = Recent(
    "hetang_wecom_calls_total", lambda labels: labels["answer"] if _is_configuration(labels["answer"]) else ""
)

SOURCES: tuple[Source, ...] = (
    Source(streams, frozenset({"stream_stopped", "stream_lag", "facts_held"})),
    Source(engine, frozenset({"engine_down"})),
    Source(job_runs, frozenset({"job_stuck", "job_failed"})),
    Source(loops, frozenset({"loop_failing"})),
    Source(failures, frozenset({"pages_failing", "sends_failing", "wecom_refused"})),
    Source(disks, frozenset({"disk_low", "disk_full"})),
    Source(backups, frozenset({"backup_old", "backup_missing"})),
    Source(archiving, frozenset({"archive_behind"})),
    Source(expiring, frozenset({"certificate", "certificate_over", "api_key", "api_key_over"})),
    Source(database, frozenset({"clock_wrong", "database_busy", "long_transaction"})),
    Source(clock_jumps, frozenset({"clock_jumped"})),
)


def _age_hours() -> float:
    """How old this installation is: since its first user."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select extract(epoch from clock_timestamp() - min(created_at))::float8 / 3600 from platform_user"
        )
        return float(cursor.fetchone()[0] or 0.0)
