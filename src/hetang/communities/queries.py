"""Reads: groups inside a scope, who joined and left by day, and how many of the new ones left within a week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection
from django.db.models import QuerySet

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


def last_full_day(today: date) -> date:
    """The newest day of joining whose seven days are over."""
    return today - timedelta(days=LOSS_DAYS + 1)


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
