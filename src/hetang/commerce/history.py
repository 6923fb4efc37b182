"""The columnar history in ClickHouse: appended window by window, exactly once, and rebuilt from the log at need.

PostgreSQL and ClickHouse cannot commit together. So each window of the log is written down in ClickHouse
(`history_plan`) before its rows: after a crash the same window is appended again under the same tokens, and the
tables drop what they have. Were the window cut anew instead, its rows would carry other tokens and count twice.
If ClickHouse lost its end, or is new, the plan says so and the stream goes back to it. Of several servers each
holds the plan, with its place among them: if they do not continue each other (one is new, or they were named in
another order), everything is appended anew.

No transaction is open while ClickHouse works, since one with an id would hold back all streams: a window is laid out in
tables that outlast their transaction, and a lock of the session keeps a second writer away.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection, transaction

from hetang.commerce import (
    history_codecs,
    history_copy,
    history_division,
    history_refusals,
    history_rows,
    history_schema,
    history_shards,
)
from hetang.commerce.errors import HistoryBehind, ServersDiffer
from hetang.facts.models import SubscriptionCursor
from hetang.facts.services import Unapplied, hold, hold_once
from hetang.facts.staging import stage
from hetang.facts.subscriptions import Position, Window, hold_still
from hetang.platform import clickhouse, clock, environment

log = logging.getLogger(__name__)

STREAM = "history"
_made_sure: set[str] = set()  # by the servers' addresses: this process has created what a new version brought
UNKNOWN_TABLE = 60  # ClickHouse's error number
MERGES_A_STATEMENT = 2_000  # two lists of ten-digit numbers stay well below the 256 KiB of a query

Plan = tuple[int, Position, Position]  # sequence, start, end


def ensure_schema() -> None:
    """Create the tables that are missing. A few milliseconds each."""
    for statement in history_schema.statements():
        clickhouse.command(statement)
    history_codecs.pack()


def order_words(column: str) -> list[str]:
    """The different values of a column of orders (`channel`, `source`), by name. A scan of that column, some hundred
    milliseconds for a hundred million. Raises the client's errors when the history is away."""
    found = clickhouse.rows(f"select distinct {column} from orders where {column} != ''")
    return sorted({value for (value,) in found})


@transaction.atomic
def rebuild_history() -> None:
    """Empty the history and let its stream read the log again from the beginning. Returns at once.

    Readers of the history see it growing until the stream has caught up (about 20,000 facts a second).
    """
    hold_still(STREAM)
    _begin_anew()


def _begin_anew() -> None:
    for table in history_schema.ALL:
        clickhouse.command(f"drop table if exists {table} sync")
    ensure_schema()
    _set_cursor((0, 0, 0))


def ready() -> bool:
    """Whether ClickHouse is there and its history reaches the stream's cursor; a cursor beyond it is set back.

    Called by the stream before each window, while nobody else advances it.
    """
    if not environment.clickhouse_urls() or not clickhouse.available():
        return False
    try:
        _make_sure()
        plan = _plan_of_known_servers()
    except _clickhouse_errors():
        return False
    except ServersDiffer as problem:
        log.warning("the history is built anew: %s", problem)
        _begin_anew()
        return False
    row = SubscriptionCursor.objects.filter(name=STREAM).first()
    end = plan[2] if plan else (0, 0, 0)
    if row is not None and (row.epoch, row.tx, row.fact_id) > end:
        _set_cursor(end)
        return False
    return True


def append(window: Window) -> None:
    """Append a window of the log to the history, exactly once however often it is tried.

    What one of the servers refuses is held, and the window is appended without it. Raises HistoryBehind when the
    history does not reach the window's start, and the servers' errors when they concern no single facts.
    """
    if window.span is None:
        _append_again(window)
        return
    start, end = window.span
    plan = _last_plan()
    if start > (plan[2] if plan else (0, 0, 0)):
        raise HistoryBehind(f"the history ends at {plan and plan[2]}, the window starts at {start}")
    if plan is not None and start < plan[2]:
        _note_plan(plan)  # one server may not have it
        _append(_between(plan[1], plan[2]))  # begun before, perhaps not finished
        if end <= plan[2]:
            return
        start = plan[2]
    _note_plan((plan[0] + 1 if plan else 1, start, end))
    _append(_between(start, end))


def _append(window: Window) -> None:
    accepted = history_refusals.without_held(window)
    try:
        _write(accepted)
    except history_refusals.errors():
        refused = history_refusals.find(accepted)
        if not refused:
            raise
        log.warning("the history refuses %d facts of a window: %s", len(refused), refused[0].detail["problem"])
        hold_once(STREAM, refused)
        _write(history_refusals.without_held(window))


def _append_again(window: Window) -> None:
    """Append one fact that was held. Of an earlier attempt some of its rows may be there."""
    stage(window, history_rows.BODIES, history_rows.FACTS)
    history_refusals.forget_rows()
    refused = history_refusals.find(window)
    if refused:
        hold(STREAM, refused)
    else:
        _write(window)


def _write(window: Window) -> None:
    counts, version = _lay_out(window)
    params = {"zone": str(clock.zone())}
    for table, (columns, select) in history_rows.ROWS.items():
        kind = history_rows.OF_KIND.get(table)
        if kind is None or counts[kind]:
            history_copy.copy(table, columns, select, params, window.token)
    if counts["touch.sent"] or counts["touch.failed"]:
        _append_touches(params, window)
    if counts["order.placed"]:
        _correct_refunds(window.token)
    if counts["customer.merged"]:
        _rewrite_merged(window.token)
    if counts["customer.erased"]:
        _rewrite_erased()
    if counts:
        # The profile is as of now, not of the window: a repetition may say something newer, so it has its own token.
        columns, select = history_rows.PROFILE_COLUMNS, history_rows.PROFILES
        history_copy.copy("customer_profile", columns, select, {"version": version}, f"{window.token}:{version}")
    if counts["customer.unmerged"]:
        history_division.rewrite_divided(window)


@transaction.atomic
def _lay_out(window: Window) -> tuple[Counter[str], int]:
    """Lay out the window's facts and people. Returns the counts by kind and the version of the people's profiles, which
    follows the transaction, so that later ones win."""
    counts = stage(window, history_rows.BODIES, history_rows.FACTS)
    with connection.cursor() as cursor:
        cursor.execute(history_rows.PEOPLE_TABLE)
        for statement in history_rows.PEOPLE:
            cursor.execute(statement)
        cursor.execute("select (select epoch from facts_epoch)::bigint << 52 | pg_current_xact_id()::text::bigint")
        (version,) = cursor.fetchone()
    return counts, version


def _append_touches(params: dict[str, Any], window: Window) -> None:
    """One row for each person of the set facts about messages sent or failed."""
    columns = "customer, at, day, channel, programme, message_class, state, person"
    unreadable = []
    with connection.cursor() as cursor:
        cursor.execute(history_rows.TOUCHES, params)
        for received_at, fact_id, *fields, members in cursor.fetchall():
            try:
                for part, (shard, lines) in enumerate(_touch_lines("\t".join(fields), members)):
                    history_copy.insert("touches", columns, lines, f"{window.token}:{fact_id}:{part}", shard)
            except ValueError:
                unreadable.append(Unapplied(received_at, fact_id, "members_missing", {}))
    (hold if window.span is None else hold_once)(STREAM, unreadable)


def _touch_lines(rest: str, members: bytes) -> Iterator[tuple[int, bytes]]:
    """Chunks of rows with the server that they belong to."""
    from pyroaring import BitMap

    everybody, shards = BitMap.deserialize(bytes(members)).to_array(), clickhouse.shards()
    for shard in range(shards):
        numbers = everybody if shards == 1 else [one for one in everybody if clickhouse.shard_of(one) == shard]
        for first in range(0, len(numbers), history_copy.CHUNK_ROWS):
            chunk = numbers[first : first + history_copy.CHUNK_ROWS]
            yield shard, "".join([f"{number}\t{rest}\t{number}\n" for number in chunk]).encode()


def _correct_refunds(token: str) -> None:
    """Refunds that were appended before their order: append them anew as they stand now, then drop the old rows."""
    with connection.cursor() as cursor:
        cursor.execute(history_rows.REFUNDS_OF_ORDERS)
        current = {(source, key): (number, *place) for number, source, key, *place in cursor.fetchall()}
    if not current:
        return
    stale = [
        (current[(source, key)][0], source, key, tuple(place))
        for source, key, *place in _appended_refunds([key for _, key in current])
        if (source, key) in current and tuple(place) != current[(source, key)][1:]
    ]
    if not stale:
        return
    ids = sorted({number for number, *_ in stale})
    history_copy.copy(
        "refunds", history_rows.REFUND_COLUMNS, history_rows.REFUNDS_BY_ID, {"ids": ids}, f"{token}:order"
    )
    for _, source, key, (customer, store, day) in stale:
        clickhouse.command(
            "delete from refunds where source = {source:String} and refund_key = {key:String}"
            " and customer = {customer:UInt32} and store = {store:String} and day = {day:Date}",
            {"source": source, "key": key, "customer": customer, "store": store, "day": day},
        )


def _appended_refunds(keys: list[str]) -> Iterator[tuple[Any, ...]]:
    for first in range(0, len(keys), 1000):
        yield from clickhouse.rows(
            "select source, refund_key, customer, store, day from refunds where refund_key in {keys:Array(String)}",
            {"keys": keys[first : first + 1000]},
        )


def _rewrite_merged(token: str) -> None:
    """Put the rows of absorbed customers under their final survivors. Repeating it changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(history_rows.MERGED)
        moves = cursor.fetchall()
    for first in range(0, len(moves), MERGES_A_STATEMENT):
        absorbed, survivors = zip(*moves[first : first + MERGES_A_STATEMENT], strict=True)
        among = f"customer in ({','.join(map(str, absorbed))})"
        becomes = f"transform(customer, {list(absorbed)}, {list(survivors)}, customer)"
        for table in history_schema.TABLES:
            if clickhouse.rows(f"select 1 from {table} where {among} limit 1"):
                clickhouse.command(
                    f"alter table {table} update customer = toUInt32({becomes}) where {among}"
                    " settings mutations_sync = 1"
                )
        history_shards.rehome(survivors, f"{token}:merged:{first}")


def _rewrite_erased() -> None:
    """Empty the history of the people whom the window erased. Repeating it changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(history_rows.ERASED)
        numbers = [row[0] for row in cursor.fetchall()]
    for first in range(0, len(numbers), MERGES_A_STATEMENT):
        forget_people(numbers[first : first + MERGES_A_STATEMENT])


def forget_people(numbers: Sequence[int]) -> None:
    """Sales become anonymous, everything else about these numbers goes. At most 2,000 numbers a call; mutations wait
    until they are done, but the parts that they replace stay on the disk for some minutes."""
    among = f"customer in ({','.join(str(int(number)) for number in numbers)})"
    for table in history_schema.ALL_OF_PEOPLE:
        if clickhouse.rows(f"select 1 from {table} where {among} limit 1"):
            change = "update customer = 0" if table in history_schema.SALES else "delete"
            clickhouse.command(f"alter table {table} {change} where {among} settings mutations_sync = 1")


def count_of_people(numbers: Sequence[int]) -> int:
    """How many rows of the history are about these numbers."""
    among = f"customer in ({','.join(str(int(number)) for number in numbers)})"
    parts = [f"select count() as n from {table} where {among}" for table in history_schema.ALL_OF_PEOPLE]
    return sum(int(one) for (one,) in clickhouse.rows(f"select sum(n) from ({' union all '.join(parts)})"))


def _last_plan() -> Plan | None:
    """The newest plan. Raises ServersDiffer where one server has not the one before either."""
    plans = [_plan_of(shard) for shard in range(clickhouse.shards())]
    begun = [plan for plan in plans if plan is not None]
    if not begun:
        return None
    newest = max(begun)
    for shard, plan in enumerate(plans):
        if (plan[0] if plan else 0) < newest[0] - 1:
            raise ServersDiffer(f"server {shard + 1} of {len(plans)} is at window {plan and plan[0]} of {newest[0]}")
    return newest


def _plan_of_known_servers() -> Plan | None:
    try:
        return _last_plan()
    except _clickhouse_errors() as problem:
        if getattr(problem, "code", None) != UNKNOWN_TABLE:
            raise
    ensure_schema()  # of a new server
    return _last_plan()


def _plan_of(shard: int) -> Plan | None:
    select = "select name, seq, start, until from history_plan order by seq desc limit 1"
    found = clickhouse.client(shard).query(select).result_rows
    if not found:
        return None
    name, seq, start, end = found[0]
    if name != _name_of(shard):
        raise ServersDiffer(f"server {shard + 1} of {clickhouse.shards()} was “{name}” before")
    return seq, tuple(start), tuple(end)


def _make_sure() -> None:
    """Create the tables and columns of this version, once a process: an older one may have left the history."""
    servers = " ".join(environment.clickhouse_urls())
    if servers not in _made_sure:
        ensure_schema()
        _made_sure.add(servers)


def _name_of(shard: int) -> str:
    return STREAM if clickhouse.shards() == 1 else f"{STREAM} {shard + 1}/{clickhouse.shards()}"


def _note_plan(plan: Plan) -> None:
    seq, start, end = plan
    for shard in range(clickhouse.shards()):
        # As text, since the client's own inserts would bring numpy into the worker.
        row = f"{_name_of(shard)}\t{seq}\t{_tuple(start)}\t{_tuple(end)}\n".encode()
        history_copy.insert("history_plan", "name, seq, start, until", row, f"plan:{seq}:{start}:{end}", shard)


def _tuple(position: Position) -> str:
    return f"({position[0]},{position[1]},{position[2]})"


def _clickhouse_errors() -> tuple[type[Exception], ...]:
    from clickhouse_connect.driver.exceptions import ClickHouseError

    return (ClickHouseError, OSError)


def _between(start: Position, end: Position) -> Window:
    where = (
        "(f.epoch, f.tx, f.id) > (%(h_e0)s, %(h_t0)s::text::xid8, %(h_i0)s)"
        " and (f.epoch, f.tx, f.id) <= (%(h_e1)s, %(h_t1)s::text::xid8, %(h_i1)s)"
    )
    params = {
        **{"h_e0": start[0], "h_t0": str(start[1]), "h_i0": start[2]},
        **{"h_e1": end[0], "h_t1": str(end[1]), "h_i1": end[2]},
    }
    return Window(where, params, 0, ":".join(str(part) for part in (STREAM, *start, *end)), (start, end))


def _set_cursor(to: Position) -> None:
    SubscriptionCursor.objects.filter(name=STREAM).update(
        epoch=to[0], tx=to[1], fact_id=to[2], failed_at=None, error="", attempts=0
    )
