"""WeCom friendships as rules ask for them: those that are there and those that were lost, how and when they began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.customers.models import Relation

# State, staff, ways, states of live codes, and since when; what is empty is not asked for.
Wanted = tuple[str, tuple[int, ...], tuple[int, ...], tuple[str, ...], datetime | None]
STATES = {"active": ("active",), "lost": ("lost_by_customer", "lost_by_staff")}


@dataclass(frozen=True, slots=True)
class Known:
    """A friendship of a customer: staff by userid; `at` is when it began, or when it was lost; of a lost one `way` and
    `channel_state` are those by which it had begun."""

    staff: str
    state: str
    way: int
    channel_state: str
    at: datetime


def customers_with(
    state: str,
    staff: tuple[int, ...],
    ways: tuple[int, ...],
    channel_states: tuple[str, ...],
    since: datetime | None,
) -> BitMap:
    """Customers who have such a friendship: of this state (`any`: there or lost), with these members of staff (ids),
    begun in these ways (WeCom's numbers), by codes of these states, where they are named. With `since`, those that
    began from then on, or were lost from then on.

    One statement, a scan of the friendships where neither staff nor times choose."""
    states = [one for code, known in STATES.items() if state in {"any", code} for one in known]
    tests = ["state = any(%(states)s)"]
    params: dict[str, Any] = {"states": states, "since": since}
    for name, column, values in (("staff", "staff_id", staff), ("ways", _WAY, ways), ("codes", _CODE, channel_states)):
        if values:
            tests.append(f"{column} = any(%({name})s)")
            params[name] = list(values)
    if since is not None:
        tests.append("case when state = 'active' then since else occurred_at end >= %(since)s")
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # binary: see `audiences.following`
        sql = f"select array_agg(distinct customer_id) from customers_relation r where {' and '.join(tests)}"
        cursor.execute(sql, params, binary=True)
        (numbers,) = cursor.fetchone() or (None,)
    return BitMap(numbers or ())


def of_customer(number: int) -> tuple[Known, ...]:
    """All that rules may ask of one customer's friendships, those that are there or were lost. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_CUSTOMER, [[one for known in STATES.values() for one in known], number])
        return tuple(Known(*row) for row in cursor.fetchall())


def channel_states(words: Sequence[str], limit: int) -> list[str]:
    """States of the live codes and links by which friendships began, that hold every word; the first ones by name. A
    scan of the friendships."""
    newest, first = Relation.objects.exclude(channel_state=""), Relation.objects.exclude(begun_state="")
    for word in words:
        newest, first = newest.filter(channel_state__icontains=word), first.filter(begun_state__icontains=word)
    both = newest.values_list("channel_state", flat=True).union(first.values_list("begun_state", flat=True))
    return sorted(both.order_by("channel_state")[:limit])


_WAY, _CODE = (
    f"(case when r.state in ('lost_by_customer', 'lost_by_staff') then r.begun_{name} else r.{newest} end)"
    for name, newest in (("way", "add_way"), ("state", "channel_state"))
)
_OF_CUSTOMER = f"""
select s.userid, r.state, {_WAY}, {_CODE}, case when r.state = 'active' then r.since else r.occurred_at end
from customers_relation r join resources_staff s on s.id = r.staff_id
where r.state = any(%s) and r.customer_id = %s order by 5, r.id
"""
