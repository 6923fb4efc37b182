"""The columnar history of people who were divided: their rows follow their identities.

All of it says what is, not what changes, so it may be repeated. Rows that carry no identity are deleted and made again
from the facts, up to the end of the window; it comes last in its window, since a repetition of the window's own rows
is dropped by their tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction

from hetang.commerce import history_copy, history_refusals, history_rows, history_shards, sums
from hetang.facts.staging import stage
from hetang.facts.subscriptions import Window
from hetang.platform import clickhouse, clock

_NUMBERS_A_STATEMENT = 1000


def rewrite_divided(window: Window) -> None:
    """Put every row of the people whom `customer.unmerged` of the window names under its present customer.

    Costs a pass over the customer column of each table (seconds at 100 million rows) for every thousand people.
    """
    with connection.cursor() as cursor:
        cursor.execute(sums.DIVIDED.format(window=history_rows.FACTS))
        people = [number for (number,) in cursor.fetchall()]
    for first in range(0, len(people), _NUMBERS_A_STATEMENT):
        numbers = people[first : first + _NUMBERS_A_STATEMENT]
        customers = _rewrite_touches(numbers)
        _rewrite_refunds(numbers)
        history_shards.rehome([*numbers, *customers], f"{window.token}:divided:{numbers[0]}")
        _rewrite_of_identities(numbers, window)


def _rewrite_touches(numbers: list[int]) -> list[int]:
    """Returns whose they are now."""
    with connection.cursor() as cursor:
        cursor.execute(history_rows.NOW, {"numbers": numbers})
        persons, customers = zip(*cursor.fetchall(), strict=True)
    among = f"person in ({','.join(map(str, persons))})"
    becomes = f"transform(person, {list(persons)}, {list(customers)}, customer)"
    _update("touches", f"customer = toUInt32({becomes})", f"{among} and customer <> {becomes}")
    return list(customers)


def _rewrite_refunds(numbers: list[int]) -> None:
    """A refund is that of its order's customer, whomever its own fact names."""
    among = f"customer in ({','.join(map(str, numbers))})"
    moves: dict[int, list[str]] = defaultdict(list)
    stands = {
        (source, key): customer
        for source, key, customer in clickhouse.rows(f"select source, refund_key, customer from refunds where {among}")
    }
    for source, key, customer in _refunds_of([key for _, key in stands]):
        if stands.get((source, key), customer) != customer:
            moves[customer].append(f"({_quoted(source)}, {_quoted(key)})")
    for customer, keys in moves.items():
        for first in range(0, len(keys), _NUMBERS_A_STATEMENT):
            chunk = ",".join(keys[first : first + _NUMBERS_A_STATEMENT])
            _update("refunds", f"customer = toUInt32({customer})", f"{among} and (source, refund_key) in ({chunk})")


def _refunds_of(keys: list[str]) -> Iterator[tuple[str, str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(history_rows.REFUNDS_OF, {"keys": keys})
        yield from cursor.fetchall()


def _rewrite_of_identities(numbers: list[int], window: Window) -> None:
    params: dict[str, Any] = {"divided": numbers}
    where = history_rows.OF_DIVIDED
    if window.span is None:
        where = where.partition("\nand ")[0]
    else:
        epoch, tx, number = window.span[1]
        params |= {"d_epoch": epoch, "d_tx": str(tx), "d_id": number}
    theirs = history_refusals.without_held(Window(where, params, 0, "divided"))
    with transaction.atomic(), connection.cursor() as cursor:
        stage(theirs, history_rows.BODIES, history_rows.FACTS)
        cursor.execute("select pg_current_xact_id()::text")
        (attempt,) = cursor.fetchone()
    for table in history_rows.OF_IDENTITIES:
        among = f"customer in ({','.join(map(str, numbers))})"
        if clickhouse.rows(f"select 1 from {table} where {among} limit 1"):
            clickhouse.command(f"delete from {table} where {among} settings lightweight_deletes_sync = 1")
        columns, select = history_rows.ROWS[table]
        token = f"{window.token}:divided:{attempt}:{numbers[0]}"
        history_copy.copy(table, columns, select, {"zone": str(clock.zone())}, token)


def _update(table: str, change: str, where: str) -> None:
    if clickhouse.rows(f"select 1 from {table} where {where} limit 1"):
        clickhouse.command(f"alter table {table} update {change} where {where} settings mutations_sync = 1")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
