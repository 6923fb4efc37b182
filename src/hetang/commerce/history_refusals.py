"""Facts that the columnar history cannot take: found, held, and left out of their window.

All values are checked at the door, so this is for what nobody thought of. A window is never cut anew, since its tokens
would change; it is appended again without the facts that are held. Which they are is found by halves, in a table
function that keeps nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection

from hetang.commerce import history_copy, history_rows, history_schema
from hetang.commerce.errors import HistoryRefuses
from hetang.facts.services import Unapplied
from hetang.facts.staging import stage
from hetang.facts.subscriptions import Window
from hetang.platform import clickhouse, clock

REASON = "history_refused"
MOST = 20  # of a window; more are no fault of single facts
_KEYS = {"orders": "order_key", "order_lines": "order_key", "refunds": "refund_key", "facts": "key"}

_FAULT = re.compile(r"name: (?P<name>\w+),[^\n]*ERROR")

Place = tuple[datetime, int]


def errors() -> tuple[type[Exception], ...]:
    """What a server raises when it does not take a value, among others. Either may: PostgreSQL makes the rows."""
    import psycopg
    from clickhouse_connect.driver.exceptions import ClickHouseError

    return (ClickHouseError, DatabaseError, psycopg.DatabaseError)


def without_held(window: Window) -> Window:
    """The window less the facts that are held since the history refused them."""
    return replace(
        window,
        where=f"{window.where} and not exists (select from facts_heldfact h where h.stage = 'history'"
        " and h.reason = %(refused)s and h.state <> 'replayed' and h.received_at = f.received_at"
        " and h.key = f.key and h.source = f.source)",
        params={**window.params, "refused": REASON},
    )


def find(window: Window) -> list[Unapplied]:
    """Facts of the window that one of the servers does not take, and their rows of earlier attempts are taken away.

    None if there are none: then something else is wrong. Costs about twenty times the window. Raises HistoryRefuses if
    there are more than MOST.
    """
    stage(window, (), history_rows.FACTS)
    with connection.cursor() as cursor:
        cursor.execute(f"select received_at, id from {history_rows.FACTS} order by received_at, id")
        places: list[Place] = cursor.fetchall()
    found: list[Unapplied] = []
    waiting = [places] if places else []
    while waiting and len(found) <= MOST:
        some = waiting.pop()
        problem = _tried(some)
        if problem is not None and len(some) == 1:
            found.append(Unapplied(*some[0], REASON, {"problem": problem}))
        elif problem is not None:
            waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
    if len(found) > MOST:
        raise HistoryRefuses(f"more than {MOST} facts of one window, among them for {found[0].detail['problem']}")
    if not found:
        return []
    stage(_of([(one.received_at, one.fact_id) for one in found]), (), history_rows.FACTS)
    forget_rows()
    return found


def forget_rows() -> None:
    """Take away the rows that carry the key of a fact that is laid out. Repeating it changes nothing."""
    with connection.cursor() as cursor:
        cursor.execute(f"select source, key from {history_rows.FACTS}")
        keys = cursor.fetchall()
    for source, key in keys:
        for table, column in _KEYS.items():
            where = f"source = {{source:String}} and {column} = {{key:String}}"
            params = {"source": source, "key": key}
            if clickhouse.rows(f"select 1 from {table} where {where} limit 1", params):
                clickhouse.command(f"delete from {table} where {where} settings lightweight_deletes_sync = 1", params)


def _tried(places: list[Place]) -> str | None:
    """Why these facts cannot be appended together, without their values; None if they can. Nothing is kept."""
    stage(_of(places), history_rows.BODIES, history_rows.FACTS)
    for table, (columns, select) in history_rows.ROWS.items():
        try:
            history_copy.copy(_nowhere(table), columns, select, {"zone": str(clock.zone())}, "")
        except errors() as problem:
            column = _FAULT.search(str(problem))
            return f"{table}.{column['name']}" if column else f"{table} ({getattr(problem, 'code', None)})"
    return None


def _of(places: list[Place]) -> Window:
    params: dict[str, Any] = {"ats": [at for at, _ in places], "ids": [number for _, number in places]}
    where = (
        "f.received_at = any(%(ats)s) and (f.received_at, f.id) in"
        " (select * from unnest(%(ats)s::timestamptz[], %(ids)s::bigint[]))"
    )
    return Window(where, params, len(places), "")


def _nowhere(table: str) -> str:
    structure = " ".join(history_schema.TABLES[table].split()).replace("'", "''")
    return f"function null('{structure}')"
