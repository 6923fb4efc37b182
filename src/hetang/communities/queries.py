"""Reads: groups inside a scope, who joined and left by day, and how many of the new ones left within a week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
from django.db import connection
from django.db.models import QuerySet
from pyroaring import BitMap

from hetang.communities.models import GroupChat
from hetang.platform.access import Scope

LOSS_DAYS = 7


@dataclass(frozen=True)
class Day:
    """One day of a group: customers who joined and who left (staff do not count)."""

    day: date
    joined: int
    left: int


@dataclass(frozen=True)
class Loss:
    """Of the customers who joined in a period whose week is over: how many left again within seven days."""

    joined: int
    lost: int

    @property
    def share(self) -> float | None:
        """Part of them, between 0 and 1; None when nobody joined."""
        return self.lost / self.joined if self.joined else None


def visible(scope: Scope) -> QuerySet[GroupChat]:
    """Groups that lie inside the scope."""
    found = GroupChat.objects.select_related("owner", "store", "org_node")
    if scope.everything and not scope.without:
        return found
    return found.filter(org_node__in=scope.org_nodes())


def days(group: GroupChat, since: date, until: date) -> list[Day]:
    """Joins and leaves of every day from `since` to `until`, both included, quiet days with zeros."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"group": group.pk, "since": since, "until": until})
        return [Day(*row) for row in cursor.fetchall()]


def loss_of(group_ids: list[int], since: date, until: date) -> dict[int, Loss]:
    """For each group: who joined from `since` to `until` and left within seven days. One statement.

    Days after `until` minus seven are not over yet: the caller chooses `until` accordingly (`last_full_day`).
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOSS, {"groups": group_ids, "since": since, "until": until, "days": LOSS_DAYS})
        return {row[0]: Loss(row[1], row[2]) for row in cursor.fetchall()}


@dataclass(frozen=True)
class Shared:
    """Two groups and how many customers are in both."""

    one: int
    other: int
    people: int
    smaller: int  # customers of the smaller one

    @property
    def share(self) -> float | None:
        """Part of the smaller group that is in the other one, too."""
        return self.people / self.smaller if self.smaller else None


def shared_with(group: GroupChat, scope: Scope, most: int = 10) -> list[Shared]:
    """Groups of the scope that share the most customers with this one. One statement; some hundred index probes."""
    nodes, params = scope.org_node_ids_sql()
    with connection.cursor() as cursor:
        cursor.execute(_SHARED_WITH.replace("{nodes}", nodes), [group.customers, *params, group.pk, most])
        return [Shared(*row) for row in cursor.fetchall()]


def overlaps(group_ids: Sequence[int], most: int = 100) -> list[Shared]:
    """The pairs of these groups that share the most customers. One statement over their members: about a second for a
    hundred thousand of them, so the caller chooses some hundred groups."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERLAPS, [list(group_ids), most])
        return [Shared(*row) for row in cursor.fetchall()]


# In how many groups at least, of which groups and stores (none: all), joined from day to day (None: whenever).
InGroups = tuple[int, tuple[int, ...], tuple[int, ...], date | None, date]


def customers_in(
    number: int, groups: tuple[int, ...], stores: tuple[int, ...], since: date | None, until: date
) -> BitMap:
    """Customers who are in at least `number` group chats now: of these groups and of these stores (ids) where any are
    named, with `since` only those that she joined from that day to `until`.

    One statement. Measured on a busy machine with 1 M members: all groups 1.4 s (5.8 s where several are asked for), a
    week's joins 0.2 s, a hundred groups 0.05 s.
    """
    tests, params = ["m.left_at is null", "not m.is_staff"], {"number": number, "groups": list(groups)}
    params |= {"stores": list(stores), "since": since, "until": until}
    if groups:
        tests.append("m.group_id = any(%(groups)s)")
    if stores:
        tests.append("m.group_id in (select id from communities_groupchat where store_id = any(%(stores)s))")
    if since is not None:
        tests.append("m.joined_on between %(since)s and %(until)s")
    many = "" if number == 1 else " having count(distinct m.group_id) >= %(number)s"
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # binary: see `audiences.following`
        cursor.execute(_IN_GROUPS.format(tests=" and ".join(tests), many=many), params, binary=True)
        (numbers,) = cursor.fetchone() or (None,)
    return BitMap(numbers or ())


def last_full_day(today: date) -> date:
    """The newest day of joining whose seven days are over."""
    return today - timedelta(days=LOSS_DAYS + 1)


_IN_GROUPS = """
select array_agg(customer_id) from (
  select i.customer_id from communities_groupmember m
  join customers_identity i on i.kind = 'external_userid' and i.key = m.member
  where {tests} group by i.customer_id{many}) found
"""
_DAYS = """
select d::date, coalesce(j.n, 0), coalesce(l.n, 0)
from generate_series(%(since)s::date, %(until)s::date, interval '1 day') as d
left join (select joined_on, count(*) as n from communities_groupmember
  where group_id = %(group)s and not is_staff and joined_on between %(since)s and %(until)s group by joined_on) j
  on j.joined_on = d::date
left join (select left_on, count(*) as n from communities_groupmember
  where group_id = %(group)s and not is_staff and left_on between %(since)s and %(until)s group by left_on) l
  on l.left_on = d::date
order by d
"""
_LOSS = """
select group_id, count(*)::int,
       count(*) filter (where left_at < joined_at + %(days)s * interval '1 day')::int
from communities_groupmember
where group_id = any(%(groups)s) and not is_staff and joined_on between %(since)s and %(until)s
group by group_id
"""
_SHARED_WITH = """
select m.group_id, o.group_id, count(*)::int, least(min(g.customers), max(%s::int)) from communities_groupmember m
join communities_groupmember o on o.member = m.member and o.group_id <> m.group_id and o.left_at is null
join communities_groupchat g on g.id = o.group_id and g.dissolved_at is null and g.org_node_id in ({nodes})
where m.group_id = %s and m.left_at is null and not m.is_staff
group by m.group_id, o.group_id order by 3 desc, 2 limit %s
"""
_OVERLAPS = """
with chosen as materialized (select id, customers from communities_groupchat where id = any(%s)),
inside as materialized (
  select m.group_id, m.member from communities_groupmember m join chosen c on c.id = m.group_id
  where m.left_at is null and not m.is_staff
)
select a.group_id, b.group_id, count(*)::int, min(least(c.customers, d.customers))
from inside a join inside b on b.member = a.member and b.group_id > a.group_id
join chosen c on c.id = a.group_id join chosen d on d.id = b.group_id
group by a.group_id, b.group_id order by 3 desc, 1, 2 limit %s
"""
