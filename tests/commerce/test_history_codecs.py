"""Codecs of the history's columns: new tables have them, those of an earlier version get them, values stay."""

from __future__ import annotations

from datetime import UTC, datetime

from hetang.commerce import attribute_columns, history, history_codecs, history_schema
from hetang.platform import clickhouse


def _unpacked(*tables: str) -> list[tuple[object, ...]]:
    """Numbers and times without a codec in these tables; other tests leave tables of their own in the same database."""
    return clickhouse.rows(
        "select table, name from system.columns where database = currentDatabase()"
        " and table in {tables:Array(String)} and compression_codec = ''"
        " and match(type, '^(Nullable\\\\()?(U?Int(32|64)|DateTime64|Date\\\\b|Float64|Decimal)')",
        {"tables": list(tables)},
    )


def test_every_number_and_time_has_a_codec(engine: str) -> None:
    history.ensure_schema()
    attribute_columns.ensure([("packed", "number"), ("packed", "date"), ("packed", "place")])
    assert _unpacked(*history_schema.ALL) == []


def test_tables_of_an_earlier_version_are_packed_from_then_on_and_keep_their_values(engine: str) -> None:
    clickhouse.command("drop table if exists earlier sync")
    clickhouse.command(
        "create table earlier (customer UInt32, at Nullable(DateTime64(3, 'UTC')),"
        " net Int64 codec(T64, LZ4),"
        " share Nullable(Float64), name String) engine = MergeTree order by customer"
    )
    at = datetime(2026, 2, 28, 23, 59, 59, 999000, tzinfo=UTC)
    rows = [(1, at, -(2**62), 0.1, "a"), (2, None, 2**62, None, "b"), (3, at, 0, -1e300, "c")]
    insert = (
        "insert into earlier values ({a:UInt32}, {b:Nullable(DateTime64(3, 'UTC'))}, {c:Int64},"
        " {d:Nullable(Float64)}, {e:String})"
    )
    try:
        for part in (rows[:2], rows[2:]):
            for row in part:
                clickhouse.command(insert, dict(zip("abcde", row, strict=True)))
            history_codecs.pack(["earlier"])  # between the two: older parts and newer ones
        assert clickhouse.rows("select * from earlier order by customer") == rows
        clickhouse.command("optimize table earlier final")
        assert clickhouse.rows("select * from earlier order by customer") == rows
        assert _unpacked("earlier") == []
        given = dict(clickhouse.rows("select name, compression_codec from system.columns where table = 'earlier'"))
        assert given["net"] == "CODEC(T64)"
    finally:
        clickhouse.command("drop table earlier sync")
