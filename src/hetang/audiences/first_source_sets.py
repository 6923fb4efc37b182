"""First sources as sets: friendships, group chats and the instants of first orders from PostgreSQL, what a first order
was from the ClickHouse history.

An order is the first source of whoever is in both: in PostgreSQL no friendship and no stay is as early as her first
order, in the history that order has the properties that are asked for. Who sold it only PostgreSQL knows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import cast

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.audiences.first_source import FRIENDSHIP, GROUP_CHAT, ORDER, Beginning

Befriended = dict[tuple[int, str], BitMap]  # by WeCom's number of the way, and channel state


def customers_first(by: str, since: datetime | None, *wanted: tuple[str, tuple[Hashable, ...]]) -> BitMap:
    """Customers whose first source is of this kind (not `any`), since then, with these properties where any are named:
    ids of `stores`, `staff` and `groups`, WeCom's numbers of `ways`, `channel_states`. Of orders only `staff`.

    One statement: a scan of friendships, stays or first orders where no property chooses, and for each of them a look
    at whether something was earlier. Measured on a busy machine with 1 M friendships and buyers and 200,000 stays: all
    friendships 2.5 s, those of a code 0.25 s, those of a week 0.1 s; all first orders 1.3 s. Of 4 M orders the first
    ones that one of 500 sellers sold 0.4 s, those of fifty sellers 2.7 s.
    """
    column_of, at, select = _OF[_SOLD if by == ORDER and any(values for _, values in wanted) else by]
    tests, params = [], {"since": since}
    for name, values in wanted:
        if values:
            tests.append(f"and {column_of[name]} = any(%({name})s)")
            params[name] = list(values)  # type: ignore[assignment]
    if since is not None:
        tests.append(f"and {at} >= %(since)s")
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # binary: see `audiences.following`
        cursor.execute(f"select array_agg(customer_id) from ({select} {' '.join(tests)}) f", params, binary=True)
        (numbers,) = cursor.fetchone() or (None,)
    return BitMap(numbers or ())


def answer(keys: tuple[Hashable, ...], befriended: Befriended | None = None) -> BitMap:
    """What the arguments of `customers_first` ask for; from `first_friendships`, where these are given and say it."""
    by, since, *wanted = cast("tuple[str, datetime | None, *tuple[tuple[str, tuple[Hashable, ...]], ...]]", keys)
    chosen = {name: values for name, values in wanted if values}
    if befriended is None or by != FRIENDSHIP or since is not None or chosen.keys() - {"ways", "channel_states"}:
        return customers_first(by, since, *wanted)
    ways, states = chosen.get("ways"), chosen.get("channel_states")
    parts = (
        numbers
        for (way, state), numbers in befriended.items()
        if (ways is None or way in ways) and (states is None or state in states)
    )
    return BitMap.union(BitMap(), *parts)


def first_friendships() -> Befriended:
    """Everybody whose first source is a friendship. One scan of friendships."""
    connection.ensure_connection()
    by_both = f"select r.begun_way, r.begun_state, array_agg(r.customer_id) {_FIRST_FRIENDSHIPS} group by 1, 2"
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(by_both, binary=True)
        return {(way, state): BitMap(numbers) for way, state, numbers in cursor.fetchall()}


def beginnings_of(number: int) -> tuple[Beginning, ...]:
    """How a customer came, but for orders, the first one first. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGINNINGS, [number, number])
        return tuple(Beginning(*row) for row in cursor.fetchall())


def seller_of_first(number: int) -> str:
    """The userid of who sold a customer's first order; nothing where nobody is known. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SELLER, [number])
        (userid,) = cursor.fetchone() or ("",)
        return userid or ""


def joining_codes(words: Sequence[str], limit: int) -> list[str]:
    """States of the codes by which customers joined groups, that hold every word; the first ones by name. A scan."""
    tests = " and ".join(["channel_state <> ''", *["position(%s in lower(channel_state)) > 0"] * len(words)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"select distinct channel_state from communities_groupmember where {tests} order by 1 limit %s",
            [*(word.lower() for word in words), limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _no_friendship(who: str, before: str) -> str:
    return f"not exists (select from customers_relation e where e.customer_id = {who} and {before})"


def _no_stay(who: str, before: str) -> str:
    return (
        "not exists (select from customers_identity n"
        " join communities_groupmember e on e.member = n.key and not e.is_staff"
        f" where n.kind = 'external_userid' and n.customer_id = {who} and {before})"
    )


def _no_order(who: str, before: str) -> str:
    return f"not exists (select from commerce_customermetric e where e.customer_id = {who} and {before})"


_FIRST_FRIENDSHIPS = f"""
from customers_relation r join resources_staff s on s.id = r.staff_id
where r.begun_at is not null
  and {_no_friendship("r.customer_id", "(e.begun_at, e.id) < (r.begun_at, r.id)")}
  and {_no_stay("r.customer_id", "e.joined_at < r.begun_at")}
  and {_no_order("r.customer_id", "e.first_order_at < r.begun_at")}
"""
_FRIENDSHIPS = f"select r.customer_id {_FIRST_FRIENDSHIPS}"
_STAYS = f"""
select i.customer_id from communities_groupmember m
join communities_groupchat g on g.id = m.group_id
join customers_identity i on i.kind = 'external_userid' and i.key = m.member
where not m.is_staff
  and {_no_stay("i.customer_id", "(e.joined_at, e.id) < (m.joined_at, m.id)")}
  and {_no_friendship("i.customer_id", "e.begun_at <= m.joined_at")}
  and {_no_order("i.customer_id", "e.first_order_at < m.joined_at")}
"""
_ORDERS = f"""
select o.customer_id from commerce_customermetric o
where o.first_order_at is not null
  and {_no_friendship("o.customer_id", "e.begun_at <= o.first_order_at")}
  and {_no_stay("o.customer_id", "e.joined_at <= o.first_order_at")}
"""
# Those whose first order staff sold, from the orders of whoever is named; of one instant the first by source and key.
_SALES = f"""
select o.customer_id from commerce_order o
where o.customer_id is not null and not exists (
    select from commerce_order e where e.customer_id = o.customer_id
    and (e.placed_at, e.source, e.key) < (o.placed_at, o.source, o.key))
  and {_no_friendship("o.customer_id", "e.begun_at <= o.placed_at")}
  and {_no_stay("o.customer_id", "e.joined_at <= o.placed_at")}
"""
_SELLER = """
select s.userid from commerce_order o left join resources_staff s on s.id = o.staff_id
where o.customer_id = %s order by o.placed_at, o.source, o.key limit 1
"""
_SOLD = "sold"
# The columns of the properties, that of the instant, and the select.
_OF: dict[str, tuple[dict[str, str], str, str]] = {
    FRIENDSHIP: (
        {"stores": "s.store_id", "staff": "r.staff_id", "ways": "r.begun_way", "channel_states": "r.begun_state"},
        "r.begun_at",
        _FRIENDSHIPS,
    ),
    GROUP_CHAT: (
        {"stores": "g.store_id", "groups": "m.group_id", "channel_states": "m.channel_state"},
        "m.joined_at",
        _STAYS,
    ),
    ORDER: ({}, "o.first_order_at", _ORDERS),
    _SOLD: ({"staff": "o.staff_id"}, "o.placed_at", _SALES),
}
_BEGINNINGS = f"""
select by, at, store, channel_state, way, staff, "group", name from (
  select '{FRIENDSHIP}' as by, r.begun_at as at, coalesce(t.code, '') as store, r.begun_state as channel_state,
         r.begun_way as way, s.userid as staff, '' as "group", '' as name, r.id
  from customers_relation r join resources_staff s on s.id = r.staff_id left join resources_store t on t.id = s.store_id
  where r.begun_at is not null and r.customer_id = %s
  union all
  select '{GROUP_CHAT}', m.joined_at, coalesce(t.code, ''), m.channel_state, 0, '', g.public_id::text, g.name, m.id
  from customers_identity i join communities_groupmember m on m.member = i.key and not m.is_staff
  join communities_groupchat g on g.id = m.group_id left join resources_store t on t.id = g.store_id
  where i.kind = 'external_userid' and i.customer_id = %s
) b order by at, by = '{GROUP_CHAT}', id
"""
