"""What Prometheus is told beside the counters of the processes: read from the database, the disks and the backups
whenever somebody asks. A part that cannot be read is left out and named in `hetang_measured`.

Cost: a dozen index probes and counts of small tables, about 20 ms; waiting facts are counted up to 100,000 a stream.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection

from hetang import __version__
from hetang.facts import queries
from hetang.platform import clickhouse, clock, environment
from hetang.platform.backups import archive, commands, drill, folder
from hetang.platform.metrics import COUNTER, GAUGE, Family, Sample

log = logging.getLogger(__name__)

Source = Callable[[], Iterable[Family]]


def families() -> list[Family]:
    """Everything that can be read now."""
    found, worked = [_family("hetang_build", "The version that runs.", ((("version", __version__),), 1))], []
    for source in SOURCES:
        try:
            found += list(source())
        except Exception as problem:  # the database may be away: the rest is worth the more
            log.warning("%s was not measured: %s", source.__name__, problem)
            worked.append((source.__name__, 0.0))
        else:
            worked.append((source.__name__, 1.0))
    told = [(_labels(part=name), value) for name, value in worked]
    return [*found, _family("hetang_measured", "Whether this part of the metrics could be read.", *told)]


def streams() -> Iterator[Family]:
    lags = queries.lags()
    by_stream = [(lag, _labels(stream=lag.name)) for lag in lags]
    yield _family(
        "hetang_stream_lag_seconds",
        "Age of the oldest fact that a stream has not applied.",
        *((labels, lag.seconds) for lag, labels in by_stream),
    )
    yield _family(
        "hetang_stream_waiting_facts",
        "Facts that a stream has not applied, counted up to 100,000.",
        *((labels, lag.waiting) for lag, labels in by_stream),
    )
    yield _family(
        "hetang_stream_stopped",
        "1 while a stream stands at a fact that it cannot apply.",
        *((labels, lag.failed_at is not None) for lag, labels in by_stream),
    )
    yield _family(
        "hetang_stream_applied_total",
        "Facts that a stream has applied.",
        *((labels, lag.applied) for lag, labels in by_stream),
        kind=COUNTER,
    )
    yield _family("hetang_facts_held", "Facts that are held and open, counted up to 10,000.", ((), queries.open_held()))


def job_runs() -> Iterator[Family]:
    rows = _rows(
        "select state, count(*), max(extract(epoch from clock_timestamp() - beat_at)::float8) from platform_jobrun"
        " where state in ('waiting', 'running') group by state"
    )
    known = {state: (count, silent) for state, count, silent in rows}
    both = [(state, *known.get(state, (0, 0.0))) for state in ("waiting", "running")]
    yield _family("hetang_jobs", "Jobs that wait or run.", *((_labels(state=s), n) for s, n, _silent in both))
    yield _family(
        "hetang_job_silence_seconds",
        "How long the quietest of them has not reported.",
        *((_labels(state=s), silent or 0.0) for s, _n, silent in both),
    )


def ledger() -> Iterator[Family]:
    """People of the programmes that are not over, by the state of their touch; tasks that wait to leave."""
    rows = _rows(
        "select t.channel, t.state, sum(t.count) from touch_programme p join touch_tally t on t.programme = p.id"
        " where p.state in ('planning', 'running', 'paused', 'cancelling') group by t.channel, t.state"
    )
    yield _family(
        "hetang_touches",
        "People of open programmes by the state of the ledger.",
        *((_labels(channel=channel, state=state), count) for channel, state, count in rows),
    )
    rows = _rows(
        "select k.channel, k.state, count(*) from touch_sendtask k join touch_programme p on p.id = k.programme_id"
        " where p.state in ('planning', 'running', 'paused', 'cancelling') group by k.channel, k.state"
    )
    yield _family(
        "hetang_send_tasks",
        "Send tasks of open programmes.",
        *((_labels(channel=channel, state=state), count) for channel, state, count in rows),
    )


def database() -> Iterator[Family]:
    ((size, limit, oldest, skew),) = _rows(
        "select pg_database_size(current_database()), current_setting('max_connections')::int,"
        " coalesce((select max(extract(epoch from clock_timestamp() - xact_start)) from pg_stat_activity"
        "           where datname = current_database()), 0)::float8,"
        " extract(epoch from clock_timestamp())::float8"
    )
    used = _rows(
        "select coalesce(state, 'other'), count(*) from pg_stat_activity"
        " where datname = current_database() group by state"
    )
    yield _family("hetang_database_bytes", "Size of the database.", ((), size))
    yield _family(
        "hetang_database_connections",
        "Connections to the database.",
        *((_labels(state=state), count) for state, count in used),
    )
    yield _family("hetang_database_connections_limit", "Connections that the server takes.", ((), limit))
    yield _family(
        "hetang_database_oldest_transaction_seconds",
        "Age of the oldest transaction: it holds streams back.",
        ((), oldest),
    )
    yield _family(
        "hetang_clock_skew_seconds",
        "How far the database's clock is ahead of ours.",
        ((), round(skew - time.time(), 3)),
    )
    yield _family(
        "hetang_clock_offset_seconds",
        "How far the brand's clock is turned (the demo does that).",
        ((), clock.offset().total_seconds()),
    )


def loops() -> Iterator[Family]:
    rows = _rows("select name, expires_at > clock_timestamp() from platform_lease order by name")
    yield _family(
        "hetang_loop_held", "1 while some process runs the loop.", *((_labels(loop=name), held) for name, held in rows)
    )


def engine() -> Iterator[Family]:
    yield _family("hetang_engine_up", "1 while the engine (ClickHouse) answers.", ((), clickhouse.available()))


def disks() -> Iterator[Family]:
    usage = [(_labels(place=name), shutil.disk_usage(path)) for name, path in places().items()]
    yield _family("hetang_disk_free_bytes", "Free space.", *((labels, disk.free) for labels, disk in usage))
    yield _family("hetang_disk_size_bytes", "Size of the disk.", *((labels, disk.total) for labels, disk in usage))


def backups() -> Iterator[Family]:
    place = commands.backups_folder(environment.home())
    now = datetime.now(UTC)
    newest = folder.newest(place)
    if newest is not None:
        age = (now - newest.manifest.at).total_seconds()
        yield _family("hetang_backup_age_seconds", "Age of the newest backup.", ((), round(age)))
        yield _family("hetang_backup_bytes", "Size of the newest backup.", ((), newest.manifest.bytes))
    reports = drill.reports(place)
    if reports:
        age = (now - reports[0].time).total_seconds()
        yield _family("hetang_drill_age_seconds", "When a restore was last tried.", ((), round(age)))
        yield _family("hetang_drill_ok", "1 when it came back.", ((), reports[0].ok))


def places() -> dict[str, Path]:
    """The folders whose disks may fill up, as far as they exist."""
    home, kept = environment.home(), archive.configured()
    found = {"home": home, "backups": commands.backups_folder(home)}
    if kept is not None:
        found["archive"] = kept
    return {name: path for name, path in found.items() if path.is_dir()}


SOURCES: tuple[Source, ...] = (streams, job_runs, ledger, database, loops, engine, disks, backups)


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _labels(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(labels.items())


def _family(
    name: str, help: str, *values: tuple[tuple[tuple[str, str], ...], float | int | bool], kind: str = GAUGE
) -> Family:
    return Family(name, kind, help, tuple(Sample(name, labels, float(value)) for labels, value in values))
