"""Rows from PostgreSQL into ClickHouse: in COPY's text format, which ClickHouse reads as TabSeparated."""

from __future__ import annotations

from typing import Any

from django.db import connection

from hetang.platform import clickhouse

CHUNK_ROWS = 200_000  # an insert of one block: larger ones are cut where a repetition might cut differently


def copy(table: str, columns: str, select: str, params: dict[str, Any], token: str) -> None:
    """Stream a select of PostgreSQL, whose first column is the customer, into a table, in chunks of one block: each row
    to its customer's server."""
    several = clickhouse.shards() > 1
    chunks: list[list[bytes]] = [[] for _ in range(clickhouse.shards())]
    parts = [0] * len(chunks)
    with connection.cursor() as cursor, cursor.copy(f"copy ({select}) to stdout", params) as rows:
        for row in rows:
            line = bytes(row)
            shard = clickhouse.shard_of(int(line[: line.index(b"\t")])) if several else 0
            chunks[shard].append(line)
            if len(chunks[shard]) == CHUNK_ROWS:
                insert(table, columns, b"".join(chunks[shard]), f"{token}:{parts[shard]}", shard)
                chunks[shard], parts[shard] = [], parts[shard] + 1
    for shard, chunk in enumerate(chunks):
        if chunk:
            insert(table, columns, b"".join(chunk), f"{token}:{parts[shard]}", shard)


def insert(table: str, columns: str, data: bytes, token: str, shard: int = 0) -> None:
    """Append rows in COPY's text format on one server; a second insert with the same token is dropped."""
    clickhouse.client(shard).raw_insert(
        table,
        column_names=columns.split(", "),
        insert_block=data,
        fmt="TabSeparated",
        settings={
            "insert_deduplication_token": token,
            "insert_deduplicate": 1,
            "async_insert": 0,
            "input_format_parallel_parsing": 0,  # one block, whatever its bytes
        },
    )
