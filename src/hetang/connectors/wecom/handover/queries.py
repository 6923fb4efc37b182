"""Reads: who left with whom still waiting, hand-overs with their counts, and which members lose customers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from hetang.connectors.wecom.models import Handover
from hetang.platform import clock
from hetang.platform.access import Scope

SHOWN = 200


@dataclass(frozen=True)
class Leaver:
    """Somebody who left, with what waits to be handed over. `left_at` as WeCom tells it, None where it does not."""

    staff_id: int
    public_id: UUID
    name: str
    store: str
    customers: int
    groups: int
    under_way: int
    left_at: datetime | None


@dataclass(frozen=True)
class Risk:
    """A member in service: her customers now, who came in thirty days, and who went in seven and in thirty.

    `by_customer` deleted her, `by_her` she deleted; who was handed over counts in neither.
    """

    staff_id: int
    public_id: UUID
    name: str
    store: str
    friends: int
    new_30: int
    by_customer_7: int
    by_customer_30: int
    by_her_7: int
    by_her_30: int

    @property
    def share(self) -> float | None:
        """Part of those whom she had who went within thirty days."""
        had = self.friends + self.by_customer_30 + self.by_her_30
        return (self.by_customer_30 + self.by_her_30) / had if had else None


@dataclass(frozen=True)
class TakerLine:
    """How many go to one taker, by state."""

    name: str
    customers: int
    groups: int


def visible(scope: Scope) -> QuerySet[Handover]:
    """Hand-overs whose giver worked inside the scope."""
    found = Handover.objects.select_related("giver__store", "job", "org_node")
    if scope.everything and not scope.without:
        return found
    return found.filter(org_node__in=scope.org_nodes())


def leavers(scope: Scope) -> list[Leaver]:
    """Who left inside the scope and still has customers or groups, the most first; at most 200. One statement."""
    nodes, params = scope.org_node_ids_sql()
    return [Leaver(*row) for row in _rows(_LEAVERS.replace("{nodes}", nodes), [*params, SHOWN])]


def risks(scope: Scope, order: str = "lost") -> list[Risk]:
    """Members in service inside the scope who lose customers, by how many they lost in thirty days or by the share
    (`order`: `lost`, `share`, `deleted` by themselves); at most 200. One statement; by the share it counts the friends
    of everybody who lost one, else of those who are shown."""
    nodes, params = scope.org_node_ids_sql()
    by = _ORDERS[order]
    first = "" if order == "share" else f"order by {by}, id limit {SHOWN}"
    statement = _RISKS.replace("{nodes}", nodes).replace("{order}", by).replace("{first}", first)
    now = clock.now()
    week, month = now - timedelta(days=7), now - timedelta(days=30)
    return [Risk(*row[:10]) for row in _rows(statement, [*params, week, week, month, month])]


def counts_of(handover: Handover) -> dict[str, dict[str, int]]:
    """Items by kind and state."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    if handover.state == Handover.DONE:
        said = handover.counts.items()
    else:
        sql = "select kind || ':' || state, count(*) from wecom_handoveritem where handover_id = %s group by 1"
        said = dict(_rows(sql, [handover.pk])).items()
    for name, count in said:
        kind, _, state = name.partition(":")
        found[kind][state] = count
    return dict(found)


def takers_of(handover: Handover) -> list[TakerLine]:
    """To whom how many go, those left out not counted."""
    return [TakerLine(*row) for row in _rows(_TAKERS, [handover.pk])]


def reasons_of(handover: Handover) -> list[tuple[str, str, str, int]]:
    """What does not go or did not: (kind, state, reason, how many), the most first."""
    found = _rows(_REASONS, [handover.pk])
    return [(kind, state, reason, count) for kind, state, reason, count in found]


def _rows(statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


_LEAVERS = """
with gone as (
  select s.id, s.public_id, s.userid, s.name, coalesce(t.name, '') as store
  from resources_staff s left join resources_store t on t.id = s.store_id
  where not s.active and s.org_node_id in ({nodes})
), hers as (
  select gone.id, p.external_userid as key
  from gone join wecom_pair p on p.userid = gone.userid and p.standing = 'listed'
  union
  select gone.id, u.external_userid from gone join wecom_unassigned u on u.userid = gone.userid
), customers as (select id, count(*) as n from hers group by id),
groups as (
  select owner_id as id, count(*) as n from communities_groupchat
  where dissolved_at is null and owner_id in (select id from gone) group by owner_id
), times as (
  select gone.id, min(u.left_at) as left_at from gone join wecom_unassigned u on u.userid = gone.userid group by gone.id
), under_way as (
  select h.giver_id as id, count(*) as n from wecom_handover h join wecom_handoveritem i on i.handover_id = h.id
  where h.state = 'running' and i.state in ('asking', 'unknown', 'waiting') and h.giver_id in (select id from gone)
  group by h.giver_id
)
select gone.id, gone.public_id, gone.name, gone.store, coalesce(customers.n, 0), coalesce(groups.n, 0),
       coalesce(under_way.n, 0), times.left_at
from gone left join customers using (id) left join groups using (id) left join times using (id)
left join under_way using (id)
where coalesce(customers.n, 0) + coalesce(groups.n, 0) > 0
order by coalesce(customers.n, 0) desc, gone.id limit %s
"""
_LOST = "r.state in ('lost_by_customer', 'lost_by_staff')"
_RISKS = f"""
with staff as (
  select id, public_id, name, store_id from resources_staff where active and org_node_id in ({{nodes}})
), lost as (
  select r.staff_id as id,
    count(*) filter (where r.state = 'lost_by_customer' and r.occurred_at >= %s) as by_customer_7,
    count(*) filter (where r.state = 'lost_by_customer') as by_customer_30,
    count(*) filter (where r.state = 'lost_by_staff' and r.occurred_at >= %s) as by_her_7,
    count(*) filter (where r.state = 'lost_by_staff') as by_her_30,
    count(*) as lost
  from staff join customers_relation r on r.staff_id = staff.id
  where {_LOST} and r.occurred_at >= %s and not exists (
    select from wecom_handoveritem i join wecom_handover h on h.id = i.handover_id
    where i.key = r.external_userid and i.kind = 'customer' and i.state in ('waiting', 'done')
      and h.giver_id = r.staff_id)
  group by r.staff_id {{first}}
), friends as (
  select r.staff_id as id, count(*) as n, count(*) filter (where r.since >= %s) as fresh
  from customers_relation r where r.state = 'active' and r.staff_id in (select id from lost) group by r.staff_id
), listed as (
  select staff.id, staff.public_id, staff.name, coalesce(t.name, '') as store, coalesce(friends.n, 0) as friends,
    coalesce(friends.fresh, 0) as fresh, by_customer_7, by_customer_30, by_her_7, by_her_30, lost
  from lost join staff using (id) left join friends using (id) left join resources_store t on t.id = staff.store_id
)
select id, public_id, name, store, friends, fresh, by_customer_7, by_customer_30, by_her_7, by_her_30, lost,
       lost::float8 / nullif(friends + lost, 0) as share
from listed order by {{order}}, id limit {SHOWN}
"""
_ORDERS = {"lost": "lost desc", "deleted": "by_her_30 desc, lost desc", "share": "share desc nulls last, lost desc"}
_TAKERS = """
select s.name, count(*) filter (where i.kind = 'customer')::int, count(*) filter (where i.kind = 'group')::int
from wecom_handoveritem i join resources_staff s on s.id = i.taker_id
where i.handover_id = %s and i.state <> 'left_out' group by s.id, s.name order by 2 desc, s.name
"""
_REASONS = """
select kind, state, reason, count(*)::int from wecom_handoveritem
where handover_id = %s and state in ('left_out', 'rejected', 'full', 'refused')
group by 1, 2, 3 order by 4 desc, 1, 2, 3
"""
