"""The columnar history on several servers: each customer's rows lie on one of them, by her number.

What says which rows are whose (a merge, an un-merge) may leave rows on a server that is not hers any more; they are
carried over. Anonymous rows may lie anywhere: only sums are taken over them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hetang.commerce import history_schema
from hetang.platform import clickhouse

NUMBERS_A_STATEMENT = 2_000


def rehome(customers: Iterable[int], token: str) -> None:
    """Carry rows of these customers to the servers where they belong. `token` names the window: when it is repeated,
    what has arrived is not inserted again, and what is gone is not found. Nothing to do with one server."""
    if clickhouse.shards() == 1:
        return
    for shard in range(clickhouse.shards()):
        strangers: dict[int, list[int]] = defaultdict(list)
        for number in sorted(set(customers)):
            if clickhouse.shard_of(number) != shard:
                strangers[clickhouse.shard_of(number)].append(number)
        for home, numbers in strangers.items():
            for first in range(0, len(numbers), NUMBERS_A_STATEMENT):
                chunk = numbers[first : first + NUMBERS_A_STATEMENT]
                for table in _holding(chunk, shard):
                    _carry(table, chunk, shard, home, f"{token}:{table}:{shard}:{chunk[0]}")


def _holding(customers: list[int], shard: int) -> list[str]:
    """Tables of a server with rows of these customers, in one question."""
    counts = " union all ".join(
        f"select '{table}', count() from {table} where {_among(customers)}" for table in history_schema.TABLES
    )
    return [str(table) for table, count in clickhouse.client(shard).query(counts).result_rows if count]


def _carry(table: str, customers: list[int], shard: int, home: int, token: str) -> None:
    here, where = clickhouse.client(shard), _among(customers)
    rows = here.raw_query(f"select * from {table} where {where}", fmt="Native")
    settings = {"insert_deduplication_token": token, "insert_deduplicate": 1, "async_insert": 0}
    clickhouse.client(home).raw_insert(table, insert_block=rows, fmt="Native", settings=settings)
    here.command(f"alter table {table} delete where {where} settings mutations_sync = 1")


def _among(customers: list[int]) -> str:
    return f"customer in ({','.join(map(str, customers))})"
