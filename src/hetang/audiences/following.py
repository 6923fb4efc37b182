"""Keeping the live sets equal to PostgreSQL: build them from the tables, then follow what the customers stream applied.

A fact says whose rows may have changed; those customers' rows are read again and replace what the sets said. Of a word
on a tag only that customer's row of that tag is: tags are what changes most. Reading again is idempotent, so a
position that is a little too old only costs time, and any order of writes ends the same.
New customers are found by their number, merges and un-merges by their row id: all are handed out by the one writer of
the customers stream, in commit order. A replayed fact lies before the position, so the subjects of all replayed facts
are read again whenever their count has changed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.audiences.live import FAMILIES, Expiry, LiveSets, Move, Position

# Facts after which somebody's rows in the live families may be different. Orders and visits are not among them: a
# person whom they create is found by number, a merge that they cause by the merge's row.
KINDS = (
    "consent.changed",
    "consent.basis_stated",
    "do_not_disturb.changed",
    "relation.changed",
    "customer.described",
    "customer.identified",
    "customer.merged",
    "customer.erased",
    "household.member_described",
    "household.member_removed",
)
TAG_KINDS = ("tag.changed",)
# Those of the others, and merges, after which somebody's household may be another.
HOUSEHOLD_KINDS = (
    "customer.identified",
    "customer.merged",
    "customer.erased",
    "household.member_described",
    "household.member_removed",
)
_CHUNK = 20_000  # customers read again at once
# Facts behind from which on reading the tables once is cheaper.
_REBUILD_BEYOND = 300_000
_REBUILD_BEYOND_TAGS = 3_000_000

# family -> select of (key, number, end) over the rows that make members; `{only}` limits it to some customers.
_MEMBERS = {
    "alive": "select true, number, null::timestamptz from customers_customer"
    " where merged_into_id is null and erased_at is null {only_number}",
    "tag": "select tag_id, customer_id, expires_at from customers_customertag"
    ' where "on" and (expires_at is null or expires_at > %(now)s) {only}',
    "consent": "select array[purpose, channel]::text[], customer_id, null::timestamptz from customers_consent"
    " where counts {only}",
    "left_alone": "select true, customer_id, until from customers_donotdisturb"
    ' where "on" and (until is null or until > %(now)s) {only}',
    "home_store": "select home_store_id, number, null::timestamptz from customers_customer"
    " where home_store_id is not null {only_number}",
    "household": "select array[kind, to_char(day, 'YYYY-MM-DD')]::text[], customer_id, null::timestamptz"
    " from customers_householdmember where day is not null {only}",
    "friends": "select staff_id, customer_id, null::timestamptz from customers_relation where state = 'active' {only}",
}


def build(now: datetime) -> LiveSets:
    """The sets from the tables. The position is read first: what commits meanwhile is read again when following."""
    sets = LiveSets(position=head())
    for family in FAMILIES:
        found = sets.families[family]
        for key, numbers in _grouped(family, now):
            found[key] = BitMap(numbers) if family == "alive" else BitMap(numbers) & sets.universe
    for family in ("tag", "left_alone"):
        sets.replace(BitMap(), {}, _ending(family, now))
    return sets


def follow(sets: LiveSets, now: datetime) -> LiveSets:
    """Bring the sets up to date; returns the same object, or a new one when it had to be built again."""
    newest = head()
    if newest.database != sets.position.database or _far_behind(sets.position, newest):
        return build(now)
    changed, households = sets.due(now), BitMap()
    if newest != sets.position:
        for words in _words_on_tags(sets.position, newest, now):
            sets.move("tag", words)
        changed |= _changed(sets.position, newest, KINDS)
        households = _changed(sets.position, newest, HOUSEHOLD_KINDS)
    if changed:
        refresh(sets, changed, now, households)
    sets.position = newest
    return sets


def refresh(sets: LiveSets, changed: BitMap, now: datetime, households: BitMap | None = None) -> None:
    """Read these customers' rows again, their households only where they are among `households` (None: all)."""
    numbers = changed.to_array().tolist()
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        members: dict[str, dict[Hashable, BitMap]] = {}
        ends: list[Expiry] = []
        at_home = chunk if households is None else (BitMap(chunk) & households).to_array().tolist()
        for family in FAMILIES:
            into = members.setdefault(family, {})
            for key, number, end in _rows(family, now, at_home if family == "household" else chunk):
                into.setdefault(key, BitMap()).add(number)
                if end is not None:
                    ends.append(Expiry(end, family, key, number))
        sets.replace(BitMap(chunk), members, ends, households)


def history_version() -> tuple[int, int, int]:
    """How far the ClickHouse history has come: what was asked at another version may be answered differently now."""
    with connection.cursor() as cursor:
        cursor.execute("select epoch, tx, fact_id from facts_subscriptioncursor where name = 'history'")
        return cursor.fetchone() or (0, 0, 0)


def head() -> Position:
    """The newest position, in one snapshot of the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select (select oid from pg_database where datname = current_database())
                     || ':' || coalesce((select epoch from facts_epoch), 0),
                   coalesce(c.tx, 0), coalesce(c.fact_id, 0),
                   coalesce((select max(number) from customers_customer), 0),
                   coalesce((select max(id) from customers_merge), 0),
                   (select count(*) from facts_heldfact where state = 'replayed' and stage = 'customers'),
                   coalesce((select max(id) from customers_unmerge), 0)
            from (select 1) one left join facts_subscriptioncursor c on c.name = 'customers'
            """
        )
        return Position(*cursor.fetchone())


def _far_behind(old: Position, new: Position) -> bool:
    """Whether building anew is cheaper than reading again what changed; found out cheaply."""
    if (old.tx, old.fact) == (new.tx, new.fact):
        return new.number - old.number > _REBUILD_BEYOND
    limits = ((KINDS, _REBUILD_BEYOND), (TAG_KINDS, _REBUILD_BEYOND_TAGS))
    return any(_more_than(limit, old, new, kinds) for kinds, limit in limits)


def _more_than(limit: int, old: Position, new: Position, kinds: Sequence[str]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*) from (select 1 from facts_fact f where {_WINDOW} limit {limit + 1}) w",
            _window(old, new, kinds),
        )
        return int(cursor.fetchone()[0]) > limit


_WINDOW = """
f.epoch = (select epoch from facts_epoch)
and (f.tx, f.id) > (%(t0)s::text::xid8, %(i0)s) and (f.tx, f.id) <= (%(t1)s::text::xid8, %(i1)s)
and f.kind = any(%(kinds)s)
"""


def _window(old: Position, new: Position, kinds: Sequence[str]) -> dict[str, Any]:
    return {"t0": str(old.tx), "i0": old.fact, "t1": str(new.tx), "i1": new.fact, "kinds": list(kinds)}


def _changed(old: Position, new: Position, kinds: Sequence[str]) -> BitMap:
    """Whose rows may differ after facts of these kinds between two positions. A number that was absorbed meanwhile
    comes with its survivor."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select i.customer_id from facts_fact f
              join customers_identity i on (i.kind, i.key) = (f.subject_kind, f.subject_key)
              where {_WINDOW}
            union select number from customers_customer where number > %(n0)s
            union select unnest(array[survivor, absorbed]) from customers_merge where id > %(m0)s
            union select n.number::bigint from facts_fact f
              cross join lateral jsonb_array_elements_text(f.body->'numbers') as n(number)
              where {_WINDOW} and f.kind = 'customer.erased'
            union select unnest(people) from customers_unmerge where id > %(u0)s
            union select i.customer_id from facts_heldfact h
              join facts_fact f on f.received_at = h.received_at and f.id = (h.detail->>'fact_id')::bigint
              join customers_identity i on (i.kind, i.key) = (f.subject_kind, f.subject_key)
              where h.state = 'replayed' and h.stage = 'customers' and %(replayed)s
            """,
            {
                **_window(old, new, kinds),
                **{"n0": old.number, "m0": old.merge, "u0": old.unmerge},
                "replayed": old.replayed != new.replayed,
            },
        )
        return BitMap(row[0] for row in cursor.fetchall())


# Who wears each tag, and who does not, among those on whom a word on it (of an exclusive group: on any of its tags) was
# spoken; and those of the first for whom it ends, with the end.
_TAGS = f"""
with words as (
  select distinct i.customer_id, s.id as tag_id from facts_fact f
  join customers_identity i on (i.kind, i.key) = (f.subject_kind, f.subject_key)
  join customers_tag t on t.code = f.body->>'tag'
  join customers_taggroup g on g.id = t.group_id
  join customers_tag s on s.group_id = g.id and (s.id = t.id or g.exclusive)
  where {_WINDOW}
), now as (
  select w.*, c.expires_at, coalesce(c."on" and (c.expires_at is null or c.expires_at > %(now)s), false) as worn
  from words w left join customers_customertag c on (c.customer_id, c.tag_id) = (w.customer_id, w.tag_id)
)
select tag_id, array_agg(customer_id) filter (where worn), array_agg(customer_id) filter (where not worn),
       array_agg(customer_id) filter (where worn and expires_at is not null),
       array_agg(expires_at) filter (where worn and expires_at is not null)
from now group by tag_id
"""


def _words_on_tags(old: Position, new: Position, now: datetime) -> Iterator[Move]:
    """What words on tags between two positions come to, by tag: 200,000 of them in about a second."""
    values = {**_window(old, new, TAG_KINDS), "now": now}
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors cannot take binary results
        cursor.execute(_TAGS, values, binary=True)
        for tag, on, off, ending, at in cursor:
            ends = [Expiry(end, "tag", tag, number) for number, end in zip(ending or (), at or (), strict=True)]
            yield Move(tag, BitMap(on or ()), BitMap(off or ()), ends)


def _rows(family: str, now: datetime, numbers: list[int]) -> Iterator[tuple[Any, int, datetime | None]]:
    sql = _MEMBERS[family].format(
        only="and customer_id = any(%(numbers)s)", only_number="and number = any(%(numbers)s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, {"now": now, "numbers": numbers})
        for key, number, end in cursor.fetchall():
            yield _key(key), number, end


def _grouped(family: str, now: datetime) -> Iterator[tuple[Any, list[int]]]:
    """(key, numbers) of a whole family. Arrays travel in binary: 20 M numbers take seconds, not a minute."""
    select = _MEMBERS[family].format(only="", only_number="")
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors cannot take binary results
        cursor.execute(
            f"select key, array_agg(number) from ({select}) as m(key, number, ends) group by key",
            {"now": now},
            binary=True,
        )
        for key, numbers in cursor:
            yield _key(key), numbers


def _ending(family: str, now: datetime) -> list[Expiry]:
    select = _MEMBERS[family].format(only="", only_number="")
    with connection.cursor() as cursor:
        cursor.execute(f"select * from ({select}) as m(key, number, ends) where ends is not null", {"now": now})
        return [Expiry(end, family, _key(key), number) for key, number, end in cursor.fetchall()]


def _key(key: Any) -> Hashable:
    return tuple(key) if isinstance(key, list) else key
