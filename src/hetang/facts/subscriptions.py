"""Named, restartable readers of the fact log.

A reader's cursor is `(epoch, tx, id)` and moves in the transaction that applies the facts, so a window is applied
exactly once. It stays below `pg_snapshot_xmin`: a cursor over a serial id would lose what commits late. A handler
that fails stops only its own stream, says why on the operations page and tries again with growing pauses.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from hetang.facts.models import SubscriptionCursor
from hetang.platform import clock

log = logging.getLogger(__name__)

_LOCK_SPACE = 0x6873  # of the locks of outside streams
LONGEST_PAUSE = timedelta(minutes=1)
PATIENCE_S, PATIENCE_WHILE_BUSY_S = 1.0, 3.0
GROW_BELOW_S, SHRINK_ABOVE_S = 0.4, 0.8  # how long a full window takes
_last_ran: dict[str, float] = {}  # of patient streams, monotonic seconds
_behind: dict[str, bool] = {}  # streams whose last window was full
_moved: dict[str, float] = {}  # when a stream of this process last passed a fact, monotonic seconds
_sizes: dict[str, int] = {}  # of the next window, of streams that are behind

Position = tuple[int, int, int]


@dataclass(frozen=True)
class Window:
    """The facts that one call of a handler applies: `(after, until]` in log order, of the stream's kinds.

    Use as `from facts_fact f where {window.where}` with `window.params`. `token` is the same for the same window, so
    a store with insert deduplication stays exact when the window is repeated after a crash. `span` is its
    (after, until] in the log; None for a replay of single facts.
    """

    where: str
    params: dict[str, Any]
    count: int
    token: str
    span: tuple[Position, Position] | None = None


@dataclass(frozen=True)
class Subscription:
    """A reader: `handle` applies a window inside one transaction. With `after`, it never overtakes that stream.

    A window has up to `batch` facts; while the stream is behind and its windows are quick, up to `most`: a fact of a
    large window costs less.
    While `ready` says no (its store is away), the stream waits without failing. A `patient` stream gives way: it runs
    once a second while facts trickle, and every few seconds while another stream is behind.

    An `outside` stream writes to a store of its own, so it is handled outside transactions: one that waits for another
    server would hold back all streams. Its handler bears that a window is repeated; it never runs twice at once.
    """

    name: str
    handle: Callable[[Window], None]
    kinds: frozenset[str] | None = None
    after: str | None = None
    batch: int = 5000
    most: int = 0
    ready: Callable[[], bool] | None = None
    patient: bool = False
    outside: bool = False


@cache
def all_subscriptions() -> tuple[Subscription, ...]:
    """The streams of this installation, in the order of `settings.SUBSCRIPTIONS`."""
    return tuple(_load(path) for path in settings.SUBSCRIPTIONS)


def advance(subscription: Subscription) -> int:
    """Apply one window. Returns how many facts the cursor passed; 0 if there is none, it is held elsewhere or paused.

    Raises nothing of the handler's: a failure is recorded on the cursor and logged.
    """
    try:
        with _held(subscription) as cursor:
            if cursor is None or _pausing(cursor) or not (subscription.ready is None or subscription.ready()):
                return 0
            return _apply_next(subscription, cursor)
    except Exception as problem:
        log.exception("subscription %s stopped", subscription.name)
        _note_failure(subscription.name, problem)
        return 0


def run_once(among: Callable[[Subscription], bool] = lambda _: True) -> bool:
    """One window of every stream `among` them. True if any stream had a full window, so that more is probably waiting.

    Patient streams give way to those of this process that are behind, whichever thread runs them.
    """
    busy = False
    for subscription in filter(among, all_subscriptions()):
        name = subscription.name
        if not subscription.patient:
            _behind[name] = advance(subscription) >= subscription.batch
            busy |= _behind[name]
        elif _is_due(name):
            full = advance(subscription) >= subscription.batch
            _last_ran[name] = 0.0 if full and not any(_behind.values()) else time.monotonic()
            busy |= full
    return busy


def idle_for() -> float:
    """Seconds since any stream of this process passed a fact."""
    return time.monotonic() - max(_moved.values(), default=0.0)


def _is_due(name: str) -> bool:
    waited = time.monotonic() - _last_ran.get(name, 0.0)
    return waited >= (PATIENCE_WHILE_BUSY_S if any(_behind.values()) else PATIENCE_S)


def run_until_idle() -> None:
    """Apply everything that is committed (tests, imports' end, `demo --check`). Raises if a stream has failed."""
    while sum(advance(subscription) for subscription in all_subscriptions()):
        pass
    for row in SubscriptionCursor.objects.exclude(failed_at=None):
        raise RuntimeError(f"subscription {row.name} stopped: {row.error}")


def rewind(name: str) -> None:
    """Let a stream read the log again from its beginning; its handler must be able to bear that."""
    SubscriptionCursor.objects.filter(name=name).update(epoch=0, tx=0, fact_id=0, failed_at=None, error="", attempts=0)


@dataclass(frozen=True, slots=True)
class Passed:
    """A fact that a stopped stream left out: its place in the log, and what the handler said of it."""

    received_at: datetime
    fact_id: int
    error: str


def pass_one(name: str) -> Passed | None:
    """Move a stopped stream past its next fact without applying it, in the caller's transaction. None if it has not
    failed, is busy elsewhere or has nothing ahead, or finds by itself what it cannot take (outside streams)."""
    if any(one.outside for one in all_subscriptions() if one.name == name):
        return None
    cursor = _lock_cursor(name)
    if cursor is None or cursor.failed_at is None:
        return None
    found = _next_window((cursor.epoch, cursor.tx, cursor.fact_id), 1, None)
    if found is None:
        return None
    end, count, received_at = found
    _move(cursor, end, count, received_at)
    return Passed(received_at, end[2], cursor.error)


def window_of_fact(received_at: datetime, fact_id: int) -> Window:
    """A window of exactly one fact, for replaying it to one stream."""
    params = {"one_received_at": received_at, "one_id": fact_id}
    return Window(
        "f.received_at = %(one_received_at)s and f.id = %(one_id)s",
        params,
        1,
        f"replay:{fact_id}:{clock.now():%s%f}",
    )


def _load(path: str) -> Subscription:
    found = import_string(path.replace(":", "."))
    if not isinstance(found, Subscription):
        raise TypeError(f"{path} is not a Subscription")
    return found


def hold_still(name: str) -> None:
    """Wait for the running window of an outside stream and let none begin until the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK_SPACE, name])


@contextmanager
def _held(subscription: Subscription) -> Iterator[SubscriptionCursor | None]:
    """The cursor, that nobody else advances meanwhile, or None: in a transaction, or under a lock of the session."""
    name = subscription.name
    if not subscription.outside:
        with transaction.atomic():
            yield _lock_cursor(name)
        return
    if not _locked("select pg_try_advisory_lock(%s, hashtext(%s))", name):
        yield None
        return
    try:
        SubscriptionCursor.objects.bulk_create([SubscriptionCursor(name=name)], ignore_conflicts=True)
        yield SubscriptionCursor.objects.get(name=name)
    finally:
        _locked("select pg_advisory_unlock(%s, hashtext(%s))", name)


def _locked(statement: str, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [_LOCK_SPACE, name])
        return bool(cursor.fetchone()[0])


def _lock_cursor(name: str) -> SubscriptionCursor | None:
    rows = SubscriptionCursor.objects.select_for_update(skip_locked=True)
    row = rows.filter(name=name).first()
    if row is None and not SubscriptionCursor.objects.filter(name=name).exists():
        SubscriptionCursor.objects.bulk_create([SubscriptionCursor(name=name)], ignore_conflicts=True)
        row = rows.filter(name=name).first()
    return row


def _pausing(cursor: SubscriptionCursor) -> bool:
    if cursor.failed_at is None:
        return False
    pause = min(timedelta(seconds=2 ** min(cursor.attempts, 10)), LONGEST_PAUSE)
    return cursor.failed_at <= clock.now() < cursor.failed_at + pause


def _apply_next(subscription: Subscription, cursor: SubscriptionCursor) -> int:
    start = (cursor.epoch, cursor.tx, cursor.fact_id)
    began = time.monotonic()
    size = _size(subscription, cursor.attempts)
    found = _next_window(start, size, _limit_of(subscription.after))
    if found is None:
        return 0
    end, count, received_at = found
    subscription.handle(_window(subscription, start, end, count))
    _move(cursor, end, count, received_at)
    _moved[subscription.name] = time.monotonic()
    _sizes[subscription.name] = _next_size(subscription, size, count, time.monotonic() - began)
    return count


def _size(subscription: Subscription, attempts: int) -> int:
    """After failures the window shrinks, so that the fact that cannot be applied is found and named."""
    if attempts:
        return max(1, subscription.batch >> (4 * attempts))
    return min(_sizes.get(subscription.name, subscription.batch), max(subscription.batch, subscription.most))


def _next_size(subscription: Subscription, size: int, count: int, seconds: float) -> int:
    """Up to twice as many facts if there are more and this was quick; fewer if it held others up."""
    batch = subscription.batch
    if count < size:
        return batch
    if seconds > SHRINK_ABOVE_S:
        return max(batch, size // 2)
    return max(batch, size, min(2 * size, subscription.most)) if seconds < GROW_BELOW_S else max(batch, size)


def _next_window(start: Position, size: int, limit: Position | None) -> tuple[Position, int, datetime] | None:
    bound = "and (epoch, tx, id) <= (%(le)s, %(lt)s::text::xid8, %(li)s)" if limit else ""
    epoch, tx, number = start
    params: dict[str, Any] = {"e": epoch, "t": str(tx), "i": number, "size": size}
    if limit:
        params |= {"le": limit[0], "lt": str(limit[1]), "li": limit[2]}
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        # Empty partitions tempt the planner to read and sort all that is ahead for every window: the further a stream
        # was behind, the slower it went. Without sorting it merges the partitions' indexes and stops at the limit.
        cursor.execute(
            f"""
            set local enable_sort = off;
            with ahead as (
              select epoch, tx, id, received_at from facts_fact
              where (epoch, tx, id) > (%(e)s, %(t)s::text::xid8, %(i)s)
                and (epoch, tx) < ((select epoch from facts_epoch), pg_snapshot_xmin(pg_current_snapshot()))
                {bound}
              order by epoch, tx, id limit %(size)s
            )
            select epoch, tx::text::bigint, id, received_at, (select count(*) from ahead) from ahead
            order by epoch desc, tx desc, id desc limit 1;
            set local enable_sort = on
            """,
            params,
        )
        cursor.nextset()
        row = cursor.fetchone()
    return None if row is None else ((row[0], row[1], row[2]), row[4], row[3])


def _limit_of(after: str | None) -> Position | None:
    if after is None:
        return None
    row = SubscriptionCursor.objects.filter(name=after).values_list("epoch", "tx", "fact_id").first()
    return row or (0, 0, 0)


def _window(subscription: Subscription, start: Position, end: Position, count: int) -> Window:
    where = (
        "(f.epoch, f.tx, f.id) > (%(w_e0)s, %(w_t0)s::text::xid8, %(w_i0)s)"
        " and (f.epoch, f.tx, f.id) <= (%(w_e1)s, %(w_t1)s::text::xid8, %(w_i1)s)"
    )
    params: dict[str, Any] = {
        **{"w_e0": start[0], "w_t0": str(start[1]), "w_i0": start[2]},
        **{"w_e1": end[0], "w_t1": str(end[1]), "w_i1": end[2]},
    }
    if subscription.kinds is not None:
        where += " and f.kind = any(%(w_kinds)s)"
        params["w_kinds"] = sorted(subscription.kinds)
    token = ":".join(str(part) for part in (subscription.name, *start, *end))
    return Window(where, params, count, token, (start, end))


def _move(cursor: SubscriptionCursor, end: Position, count: int, received_at: datetime) -> None:
    moved = SubscriptionCursor.objects.filter(
        name=cursor.name, epoch=cursor.epoch, tx=cursor.tx, fact_id=cursor.fact_id
    ).update(
        epoch=end[0],
        tx=end[1],
        fact_id=end[2],
        applied=cursor.applied + count,
        applied_until=received_at,
        failed_at=None,
        error="",
        attempts=0,
        updated_at=clock.now(),
    )
    if moved != 1:
        raise RuntimeError(f"the cursor of {cursor.name} moved under us")


def _note_failure(name: str, problem: Exception) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "insert into facts_subscriptioncursor (name, epoch, tx, fact_id, applied, failed_at, error, attempts)"
            " values (%s, 0, 0, 0, 0, %s, %s, 1) on conflict (name) do update"
            " set failed_at = excluded.failed_at, error = excluded.error,"
            " attempts = facts_subscriptioncursor.attempts + 1",
            [name, clock.now(), f"{type(problem).__name__}: {problem}"[:2000]],
        )
