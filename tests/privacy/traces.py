"""Looks for a person everywhere: in every column of every table, sealed or not, in ClickHouse, in the home's files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from django.db import connection

from hetang.platform.environment import home
from hetang.platform.sealing import unseal

# Django's own, the queue's, and what says nothing of customers.
PASSED_OVER = {"django_migrations", "django_session", "django_content_type"}


def in_database(values: Sequence[str]) -> list[str]:
    """`table.column: value` for every place that holds one of the values, in the clear or sealed."""
    found = []
    for table, column, row in _cells():
        for text in _texts(row):
            found += [f"{table}.{column}: {value}" for value in values if value in text]
    return sorted(set(found))


def in_files(values: Sequence[str]) -> list[str]:
    """The same for the files below the home, sealed blocks read as blocks."""
    found = []
    for path in home().rglob("*"):
        parts = path.relative_to(home()).parts
        if path.is_file() and parts[0] not in {"postgres", "static", "logs", "chdb", "engine", "clickhouse"}:
            content = path.read_bytes()
            texts = list(_texts(content)) + list(_blocks(content) if path.suffix == ".sealed" else ())
            found += [f"{path.relative_to(home())}: {value}" for value in values for text in texts if value in text]
    return sorted(set(found))


def in_history(values: Sequence[str]) -> list[str]:
    """The same for ClickHouse."""
    from hetang.platform import clickhouse

    found = []
    for (table,) in clickhouse.rows("select name from system.tables where database = currentDatabase()"):
        for row in clickhouse.rows(f"select toString(tuple(*)) from {table}"):
            found += [f"{table}: {value}" for value in values if value in str(row[0])]
    return sorted(set(found))


def _cells() -> Iterator[tuple[str, str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid"
            " where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace"
            " and a.attnum > 0 and not a.attisdropped order by 1, 2"
        )
        columns = [(table, column) for table, column in cursor.fetchall() if table not in PASSED_OVER]
        for table, column in columns:
            cursor.execute(f'select "{column}" from "{table}" where "{column}" is not null')
            for (value,) in cursor.fetchall():
                yield table, column, value


def _texts(value: Any) -> Iterator[str]:
    if not isinstance(value, bytes | memoryview):
        yield str(value)
        return
    data = bytes(value)
    yield data.decode("utf-8", "replace")
    try:
        plain = unseal(data)
    except (InvalidTag, KeyError, IndexError, ValueError):
        return
    yield plain.decode("utf-8", "replace")
    try:
        yield zlib.decompress(plain).decode("utf-8", "replace")
    except zlib.error:
        return


def _blocks(content: bytes) -> Iterator[str]:
    place = 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        try:
            yield unseal(content[place + 4 : place + 4 + size]).decode("utf-8", "replace")
        except (InvalidTag, KeyError, IndexError, ValueError):
            return  # torn by another test
        place += 4 + size


def bitmap(members: Any) -> Any:
    from pyroaring import BitMap

    return BitMap.deserialize(bytes(members))


def packed(numbers: Sequence[int]) -> bytes:
    from pyroaring import BitMap

    return bytes(BitMap(numbers).serialize())


def dying_in(code: str, die: Any) -> list[Any]:
    """All holdings, of which one dies when it is to be erased."""
    from dataclasses import replace

    from hetang.privacy.holdings import all_holdings

    return [replace(one, erase=die) if one.code == code else one for one in all_holdings()]
