"""Rows from PostgreSQL into ClickHouse: in COPY's text format, which ClickHouse reads as TabSeparated."""

from __future__ import annotations

from typing import Any

from django.db import connection

from hetang.platform import clickhouse

CHUNK_ROWS = 200_000  # an insert of one block: larger ones are cut where a repetition might cut differently


def copy(table: str, columns: str, select: str, params: dict[str, Any], token: str) -> None:
    """Stream a select of PostgreSQL into a table, in chunks of one block."""
    with connection.cursor() as cursor, cursor.copy(f"copy ({select}) to stdout", params) as rows:
        chunk: list[bytes] = []
        part = 0
        for row in rows:
            chunk.append(bytes(row))
            if len(chunk) == CHUNK_ROWS:
                insert(table, columns, b"".join(chunk), f"{token}:{part}")
                chunk, part = [], part + 1
    if chunk:
        insert(table, columns, b"".join(chunk), f"{token}:{part}")


def insert(table: str, columns: str, data: bytes, token: str) -> None:
    """Append rows in COPY's text format; a second insert with the same token is dropped."""
    clickhouse.client().raw_insert(
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
