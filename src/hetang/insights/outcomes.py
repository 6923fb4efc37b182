"""What the people of a programme did in its window, summed up per arm, variant and adviser by the database."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection

from hetang.experiments.samples import Sample
from hetang.platform import clock
from hetang.touch.models import Plan, PlanHoldout, Programme

if TYPE_CHECKING:
    from hetang.platform.access import Scope

SEND, CONTROL = "send", "control"


@dataclass(frozen=True, slots=True)
class Group:
    """The people of one arm whom one adviser serves (`staff` 0: nobody). Money in minor units."""

    arm: str
    variant: int
    staff: int
    people: int
    sent: int
    buyers: int
    orders: int
    gmv: int
    squares: int
    moved: int  # people whose net GMV is not zero
    sent_gmv: int
    sent_buyers: int

    @property
    def spent(self) -> Sample:
        """Net GMV per person."""
        return Sample(self.people, self.gmv, self.squares, self.moved, self.sent, self.sent_gmv)

    @property
    def bought(self) -> Sample:
        """Whether a person placed an order."""
        return Sample(self.people, self.buyers, self.buyers, self.buyers, self.sent, self.sent_buyers)


def groups(
    programme: Programme, plan: Plan, start: datetime, end: datetime, scope: Scope | None
) -> tuple[list[Group], int]:
    """Sums per (arm, variant, adviser), and how many people of the plan proved to be somebody else of it.

    A merged person counts once, as the first of her numbers (first exposure). One statement.
    """
    mine, mine_params = staff_within(scope, "f.staff")
    sql = f"""
    with frame as (
      select t.customer, '{SEND}' as arm, t.variant, coalesce(t.staff, 0) as staff, t.state = 'sent' as sent
      from touch_touch t where t.planned_at = %s and t.programme = %s
      union all
      select h.customer, '{CONTROL}', h.variant, h.staff, false
      from unnest(%s::bigint[], %s::smallint[], %s::bigint[]) as h(customer, variant, staff)
    ), person as (
      select distinct on (who) coalesce(k.merged_into_id, f.customer) as who, f.arm, f.variant, f.staff, f.sent
      from frame f left join customers_customer k on k.number = f.customer
      where {mine}
      order by who, f.customer
    ), bought as (
      select customer_id, count(*) as orders, sum(net)::bigint as net from commerce_order
      where customer_id is not null and local_day between %s and %s and placed_at >= %s and placed_at < %s
      group by customer_id
    ), returned as (
      select customer_id, sum(amount)::bigint as amount from commerce_refund
      where customer_id is not null and local_day between %s and %s and refunded_at >= %s and refunded_at < %s
      group by customer_id
    ), outcome as (
      select p.arm, p.variant, p.staff, p.sent, coalesce(b.orders, 0) as orders,
             coalesce(b.net, 0) - coalesce(r.amount, 0) as gmv
      from person p left join bought b on b.customer_id = p.who left join returned r on r.customer_id = p.who
    )
    select arm, variant, staff, count(*), count(*) filter (where sent), count(*) filter (where orders > 0),
      sum(orders)::bigint, sum(gmv)::bigint, sum(gmv::numeric * gmv), count(*) filter (where gmv <> 0),
      coalesce(sum(gmv) filter (where sent), 0)::bigint, count(*) filter (where sent and orders > 0),
      (select count(*) from frame f where {mine}) as planned
    from outcome group by arm, variant, staff order by arm desc, variant, staff
    """
    slack = timedelta(days=1)  # local days may be those of a store's own zone; the instants decide
    days = [clock.local_day(start) - slack, clock.local_day(end) + slack, start, end]
    held = held_out(plan)
    with connection.cursor() as cursor:
        cursor.execute(sql, [programme.planned_at, programme.pk, *held, *mine_params, *days, *days, *mine_params])
        rows = cursor.fetchall()
    found = [Group(*[*row[:8], int(row[8]), *row[9:12]]) for row in rows]
    planned = rows[0][-1] if rows else 0
    return found, planned - sum(group.people for group in found)


def staff_within(scope: Scope | None, column: str) -> tuple[str, list[Any]]:
    """SQL condition: the adviser belongs to the part of the organisation."""
    if scope is None or scope.everything:
        return "true", []
    nodes, params = scope.org_node_ids_sql()
    return f"{column} in (select id from resources_staff where org_node_id in ({nodes}))", params


def held_out(plan: Plan) -> tuple[list[int], list[int], list[int]]:
    """Customers, variants and advisers of the control group, as parallel lists."""
    columns: tuple[list[int], list[int], list[int]] = ([], [], [])
    for held in PlanHoldout.objects.filter(plan=plan).order_by("pk"):
        for column, packed in zip(columns, (held.customers, held.variants, held.staff), strict=True):
            column.extend(_numbers(bytes(packed)))
    return columns


def _numbers(packed: bytes) -> array[int]:
    """Big-endian 8-byte numbers as PostgreSQL's `int8send` writes them."""
    numbers = array("q", packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
