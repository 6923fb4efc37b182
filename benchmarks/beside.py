"""The six-tag rule in other stores, for `benchmarks.audiences`: the same people and rules, in the same run.

ClickHouse holds the sets as `groupBitmap` states in the product's own engine; DuckDB a table with a boolean for each
tag, in this process, on two threads; PostgreSQL an array of tags for each person with a GIN index, in the product's own
server (a million people only: its load grows). DuckDB and PostgreSQL get only the tags that the rules name, which
favours them. Each must count what the sets count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pyroaring import BitMap

from benchmarks.report import report

RULES, TAGS, SAMPLE = 20, 24, 20
POSTGRES_PEOPLE = 1_000_000

Tags = dict[int, BitMap]
Rule = tuple[int, ...]


def six_tags(people: int, suffix: str, known: Tags, p95: Callable[[list[float]], float]) -> None:
    """Median and p95 of each store, and how long it took to fill it."""
    draw = np.random.default_rng(21)
    tags = {int(tag): known[int(tag)] for tag in draw.choice(sorted(known), TAGS, replace=False)}
    rules = [tuple(int(tag) for tag in draw.choice(list(tags), 6, replace=False)) for _ in range(RULES)]
    stores = {"clickhouse": _clickhouse, "duckdb": _duckdb}
    if people <= POSTGRES_PEOPLE:
        stores["postgresql"] = _postgresql
    for name, fill in stores.items():
        began = time.perf_counter()
        ask, filled = fill(people, tags), time.perf_counter()
        ask(rules[0])
        times = []
        for rule in rules:
            started = time.perf_counter()
            count = ask(rule)
            times.append((time.perf_counter() - started) * 1000)
            if count != len(_of(tags, rule)):
                raise RuntimeError(f"{name} counts {count} for {rule}, the sets {len(_of(tags, rule))}")
        more = {"p95_ms": round(p95(times), 2), "fill_s": round(filled - began, 1), "rules": len(rules)}
        report(f"six_tags{suffix}_{name}_ms", statistics.median(times), "ms", **more)


def _of(tags: Tags, rule: Rule) -> BitMap:
    a, b, c, d, e, f = (tags[tag] for tag in rule)
    return (((a & b) | c) - d) & (e | f)


def _clickhouse(_people: int, tags: Tags) -> Callable[[Rule], int]:
    from hetang.platform import clickhouse

    clickhouse.command(
        "create table bench_tags (tag UInt32, members AggregateFunction(groupBitmap, UInt32))"
        " engine = MergeTree order by tag settings index_granularity = 1"
    )
    for tag, members in tags.items():
        packed = members.serialize()
        row = np.uint32(tag).tobytes() + b"\1" + _varint(len(packed)) + packed
        clickhouse.client().raw_insert("bench_tags", insert_block=row, fmt="RowBinary")

    def ask(rule: Rule) -> int:
        sets = ", ".join(
            f"(select groupBitmapMergeState(members) from bench_tags where tag = {tag}) as {name}"
            for name, tag in zip("abcdef", rule, strict=True)
        )
        found = "bitmapAnd(bitmapAndnot(bitmapOr(bitmapAnd(a, b), c), d), bitmapOr(e, f))"
        sample = f"bitmapToArray(bitmapSubsetLimit({found}, 0, {SAMPLE}))"
        return int(
            clickhouse.client().query(f"with {sets} select bitmapCardinality({found}), {sample}").result_rows[0][0]
        )

    return ask


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _duckdb(people: int, tags: Tags) -> Callable[[Rule], int]:
    import duckdb
    import pyarrow as pa

    columns: dict[str, Any] = {"id": np.arange(1, people + 1, dtype=np.uint32)}
    for tag, members in tags.items():
        worn = np.zeros(people + 1, dtype=bool)
        worn[np.frombuffer(members.to_array(), dtype=np.uint32)] = True
        columns[f"t{tag}"] = worn[1:]
    store = duckdb.connect(config={"threads": 2})
    store.register("given", pa.table(columns))
    store.execute("create table people as select * from given")
    store.unregister("given")

    def ask(rule: Rule) -> int:
        a, b, c, d, e, f = (f"t{tag}" for tag in rule)
        where = f"(({a} and {b}) or {c}) and not {d} and ({e} or {f})"
        (count,) = store.execute(f"select count(*) from people where {where}").fetchall()[0]
        store.execute(f"select id from people where {where} limit {SAMPLE}").fetchall()
        return int(count)

    return ask


def _postgresql(_people: int, tags: Tags) -> Callable[[Rule], int]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("create unlogged table bench_pair (person integer, tag integer)")
        with cursor.copy("copy bench_pair from stdin") as copy:
            for tag, members in tags.items():
                copy.write("".join([f"{number}\t{tag}\n" for number in members]))
        cursor.execute(
            "create unlogged table bench_person as"
            " select person, array_agg(tag) as tags from bench_pair group by person"
        )
        cursor.execute("create index on bench_person using gin (tags)")
        cursor.execute("drop table bench_pair")
        cursor.execute("analyze bench_person")

    def ask(rule: Rule) -> int:
        a, b, c, d, e, f = rule
        where = f"(tags @> '{{{a},{b}}}' or tags @> '{{{c}}}') and not tags @> '{{{d}}}' and tags && '{{{e},{f}}}'"
        with connection.cursor() as cursor:
            cursor.execute(f"select count(*) from bench_person where {where}")
            (count,) = cursor.fetchone()
            cursor.execute(f"select person from bench_person where {where} limit {SAMPLE}")
            cursor.fetchall()
        return int(count)

    return ask
