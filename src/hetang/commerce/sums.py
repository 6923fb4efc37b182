"""The statements that turn a window of facts into orders, refunds and sums per person.

All work on `window_fact` (see `facts.staging`). Sums only ever add, and only for rows that are new, so any order of
arrival and any repetition ends the same. A refund counts for the person of its order; while the order is unknown,
for whomever its own fact names, and what that moved is moved back when the order comes.
"""

from __future__ import annotations

_LOCAL_DAY = "({at} at time zone coalesce(nullif({store}.time_zone, ''), %(zone)s))::date"
_PLACED_DAY = _LOCAL_DAY.format(at="w.occurred_at", store="s")
_IDENTITY = "left join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key"
_STORE = "left join resources_store s on s.code = w.body->>'store'"

LINES = "jsonb_to_recordset({lines}) as l(sku text, category text, amount bigint)"
# Lines that name no category have that of their product, as known at the time of applying.
CATEGORY = "coalesce(nullif(l.category, ''), p.category, '')"
PRODUCT = "left join resources_product p on p.sku = l.sku and coalesce(l.category, '') = ''"

ADD_METRICS = """
insert into commerce_customermetric as m
  (customer_id, first_order_at, last_order_at, orders, gmv, refunded, visits, last_visit_at)
{rows}
on conflict (customer_id) do update set
  first_order_at = least(m.first_order_at, excluded.first_order_at),
  last_order_at = greatest(m.last_order_at, excluded.last_order_at),
  orders = m.orders + excluded.orders, gmv = m.gmv + excluded.gmv, refunded = m.refunded + excluded.refunded,
  visits = m.visits + excluded.visits, last_visit_at = greatest(m.last_visit_at, excluded.last_visit_at)
"""
ADD_STORES = """
insert into commerce_customerstore as t (customer_id, store_id, orders, gmv)
{rows}
on conflict (customer_id, store_id) do update set orders = t.orders + excluded.orders, gmv = t.gmv + excluded.gmv
"""
ADD_CATEGORIES = """
insert into commerce_customercategory as t (customer_id, category, lines, amount)
{rows}
on conflict (customer_id, category) do update
set lines = t.lines + excluded.lines, amount = t.amount + excluded.amount
"""

ORDERS = f"""
with placed as materialized (
  select w.source, w.key, i.customer_id, s.id as store_id, t.id as staff_id, w.occurred_at as placed_at,
         coalesce(w.body->>'channel', 'store') as channel, {_PLACED_DAY} as local_day,
         (w.body->>'net')::bigint as net, coalesce((w.body->>'discount')::bigint, 0) as discount,
         w.body->'lines' as lines
  from window_fact w {_IDENTITY} {_STORE} left join resources_staff t on t.userid = w.body->>'staff'
  where w.kind = 'order.placed'
), fresh as (
  insert into commerce_order
    (source, key, customer_id, store_id, staff_id, channel, placed_at, local_day, net, discount, lines)
  select source, key, customer_id, store_id, staff_id, channel, placed_at, local_day, net, discount,
         jsonb_array_length(lines) from placed
  on conflict (source, key) do nothing
  returning source, key, customer_id, store_id, placed_at, net
), metrics as (
  {
    ADD_METRICS.format(
        rows="select customer_id, min(placed_at), max(placed_at), count(*), sum(net), 0, 0, null"
        " from fresh where customer_id is not null group by customer_id order by customer_id"
    )
}
), stores as (
  {
    ADD_STORES.format(
        rows="select customer_id, store_id, count(*), sum(net) from fresh"
        " where customer_id is not null and store_id is not null"
        " group by customer_id, store_id order by customer_id, store_id"
    )
}
), categories as (
  {
    ADD_CATEGORIES.format(
        rows=f"select customer_id, category, count(*), sum(amount) from ("
        f" select placed.customer_id, {CATEGORY} as category, l.amount"
        f" from placed join fresh using (source, key)"
        f" cross join lateral {LINES.format(lines='placed.lines')} {PRODUCT}"
        f" where placed.customer_id is not null) lines"
        f" where category <> '' group by customer_id, category order by customer_id, category"
    )
}
)
select count(*) from fresh
"""

# Refunds that came before their order: now they learn whose they are, and the sums follow.
_SIGNED = "select customer_id, null::timestamptz, null::timestamptz, 0, -sum(amount), sum(amount), 0, null::timestamptz"
ORDERS_OF_REFUNDS = f"""
with found as (
  select r.id, r.customer_id as before, o.id as order_id, o.customer_id as after, r.amount,
         coalesce(r.store_id, o.store_id) as store_id, r.refunded_at
  from window_fact w
  join commerce_refund r on r.source = w.source and r.order_key = w.key and r.order_id is null
  join commerce_order o on o.source = w.source and o.key = w.key
  where w.kind = 'order.placed'
), known as (
  update commerce_refund r
  set order_id = found.order_id, customer_id = found.after, store_id = found.store_id,
      local_day = {_LOCAL_DAY.format(at="found.refunded_at", store="s")}
  from found left join resources_store s on s.id = found.store_id where r.id = found.id
)
{
    ADD_METRICS.format(
        rows=f"{_SIGNED} from ("
        " select before as customer_id, -amount as amount from found where before is distinct from after"
        " union all select after, amount from found where before is distinct from after"
        ") signed where customer_id is not null group by customer_id order by customer_id"
    )
}
"""

REFUNDS = f"""
with given as (
  select w.source, w.key, w.body->>'order' as order_key, o.id as order_id,
         case when o.id is null then i.customer_id else o.customer_id end as customer_id, s.id as store_id,
         coalesce(w.body->>'channel', 'store') as channel, w.occurred_at as refunded_at,
         {_LOCAL_DAY.format(at="w.occurred_at", store="s")} as local_day, (w.body->>'amount')::bigint as amount
  from window_fact w {_IDENTITY}
  left join commerce_order o on o.source = w.source and o.key = w.body->>'order'
  left join resources_store own on own.code = w.body->>'store'
  left join resources_store s on s.id = coalesce(own.id, o.store_id)
  where w.kind = 'order.refunded'
), fresh as (
  insert into commerce_refund
    (source, key, order_key, order_id, customer_id, store_id, channel, refunded_at, local_day, amount)
  select source, key, order_key, order_id, customer_id, store_id, channel, refunded_at, local_day, amount from given
  on conflict (source, key) do nothing
  returning customer_id, amount
), metrics as (
  {
    ADD_METRICS.format(
        rows=f"{_SIGNED} from fresh where customer_id is not null group by customer_id order by customer_id"
    )
}
)
select count(*) from fresh
"""

VISITS = ADD_METRICS.format(
    rows="select i.customer_id, null, null, 0, 0, 0, count(*), max(w.occurred_at)"
    " from window_fact w join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key"
    " where w.kind = 'visit.recorded' group by i.customer_id order by i.customer_id"
)

# A replayed fact whose store has become known since: its row is completed. Returns the people concerned.
LATE_STORES_OF_ORDERS = f"""
update commerce_order o
set store_id = coalesce(o.store_id, s.id), staff_id = coalesce(o.staff_id, t.id), local_day = {_PLACED_DAY}
from window_fact w {_STORE} left join resources_staff t on t.userid = w.body->>'staff'
where w.kind = 'order.placed' and o.source = w.source and o.key = w.key
  and (o.store_id is null and s.id is not null or o.staff_id is null and t.id is not null)
returning o.customer_id
"""
LATE_STORES_OF_REFUNDS = f"""
update commerce_refund r set store_id = s.id, local_day = {_PLACED_DAY}
from window_fact w join resources_store s on s.code = w.body->>'store'
where w.kind = 'order.refunded' and r.source = w.source and r.key = w.key and r.store_id is distinct from s.id
"""

# Aliases name their final survivor, however far the customers stream is ahead of this one.
_MOVES = """(
  select distinct c.number as absorbed, c.merged_into_id as survivor
  from window_fact w join customers_customer c on c.number = (w.body->>'absorbed')::bigint
  where w.kind = 'customer.merged' and c.merged_into_id is not null
) as m"""
MERGES = (
    f"update commerce_order set customer_id = m.survivor from {_MOVES} where customer_id = m.absorbed",
    f"update commerce_refund set customer_id = m.survivor from {_MOVES} where customer_id = m.absorbed",
    ADD_METRICS.format(
        rows="select m.survivor, min(a.first_order_at), max(a.last_order_at), sum(a.orders), sum(a.gmv),"
        " sum(a.refunded), sum(a.visits), max(a.last_visit_at)"
        f" from {_MOVES} join commerce_customermetric a on a.customer_id = m.absorbed group by m.survivor"
    ),
    f"delete from commerce_customermetric using {_MOVES} where customer_id = m.absorbed",
    ADD_STORES.format(
        rows="select m.survivor, a.store_id, sum(a.orders), sum(a.gmv)"
        f" from {_MOVES} join commerce_customerstore a on a.customer_id = m.absorbed group by m.survivor, a.store_id"
    ),
    f"delete from commerce_customerstore using {_MOVES} where customer_id = m.absorbed",
    ADD_CATEGORIES.format(
        rows="select m.survivor, a.category, sum(a.lines), sum(a.amount)"
        f" from {_MOVES} join commerce_customercategory a on a.customer_id = m.absorbed"
        " group by m.survivor, a.category"
    ),
    f"delete from commerce_customercategory using {_MOVES} where customer_id = m.absorbed",
)

# Of one set of people, from orders, refunds and the lines in the orders' facts.
REBUILD_METRICS = """
with mine as (
  select customer_id, min(placed_at) as first_at, max(placed_at) as last_at, count(*) as orders, sum(net) as net
  from commerce_order where customer_id = any(%(numbers)s) group by customer_id
), back as (
  select customer_id, sum(amount) as amount from commerce_refund where customer_id = any(%(numbers)s)
  group by customer_id
)
insert into commerce_customermetric as m
  (customer_id, first_order_at, last_order_at, orders, gmv, refunded, visits, last_visit_at)
select n.number, mine.first_at, mine.last_at, coalesce(mine.orders, 0),
       coalesce(mine.net, 0) - coalesce(back.amount, 0), coalesce(back.amount, 0), 0, null
from unnest(%(numbers)s::bigint[]) as n(number)
left join mine on mine.customer_id = n.number left join back on back.customer_id = n.number
where mine.customer_id is not null or back.customer_id is not null
   or exists (select from commerce_customermetric k where k.customer_id = n.number)
on conflict (customer_id) do update set
  first_order_at = excluded.first_order_at, last_order_at = excluded.last_order_at, orders = excluded.orders,
  gmv = excluded.gmv, refunded = excluded.refunded
"""
REBUILD_STORES = """
insert into commerce_customerstore (customer_id, store_id, orders, gmv)
select customer_id, store_id, count(*), sum(net) from commerce_order
where customer_id = any(%(numbers)s) and store_id is not null group by customer_id, store_id
"""
REBUILD_CATEGORIES = f"""
insert into commerce_customercategory (customer_id, category, lines, amount)
select customer_id, category, count(*), sum(amount) from (
  select i.customer_id, {CATEGORY} as category, l.amount
  from customers_identity i
  join facts_fact f on f.subject_kind = i.kind and f.subject_key = i.key and f.kind = 'order.placed'
  join commerce_order o on o.source = f.source and o.key = f.key
  cross join lateral {LINES.format(lines="f.body->'lines'")} {PRODUCT}
  where i.customer_id = any(%(numbers)s)
) lines where category <> '' group by customer_id, category
"""
CLEAR_METRICS = "delete from commerce_customermetric where customer_id = any(%(numbers)s)"
CLEAR_PARTS = (
    "delete from commerce_customerstore where customer_id = any(%(numbers)s)",
    "delete from commerce_customercategory where customer_id = any(%(numbers)s)",
)

# Of people who were divided: their orders and refunds go where their identities went. Returns whom that concerned.
DIVIDED = """
select distinct p.number::bigint from {window} w cross join jsonb_array_elements_text(w.body->'people') as p(number)
where w.kind = 'customer.unmerged'
"""
_OF_THEIRS = """
from customers_identity i
join facts_fact f on f.subject_kind = i.kind and f.subject_key = i.key and f.kind = '{kind}'
join {table} b on b.source = f.source and b.key = f.key
where i.customer_id = any(%(numbers)s) and b.customer_id is distinct from i.customer_id
"""
ORDERS_FOLLOW = f"""
with moved as (
  select b.id, b.customer_id as before, i.customer_id as after
  {_OF_THEIRS.format(kind="order.placed", table="commerce_order")}
), done as (
  update commerce_order o set customer_id = moved.after from moved where o.id = moved.id
)
select before from moved union select after from moved
"""
REFUNDS_FOLLOW = f"""
with moved as (
  select b.id, b.customer_id as before, i.customer_id as after
  {_OF_THEIRS.format(kind="order.refunded", table="commerce_refund")} and b.order_id is null
  union
  select r.id, r.customer_id, o.customer_id from commerce_refund r join commerce_order o on o.id = r.order_id
  where (r.customer_id = any(%(numbers)s) or o.customer_id = any(%(numbers)s))
    and r.customer_id is distinct from o.customer_id
), done as (
  update commerce_refund r set customer_id = moved.after from moved where r.id = moved.id
)
select before from moved union select after from moved
"""
# Visits have no rows of their own: those that this stream has passed, `until` a place in the log, count.
REBUILD_VISITS = """
update commerce_customermetric m set visits = n.visits, last_visit_at = n.last_at from (
  select i.customer_id, count(*) as visits, max(f.occurred_at) as last_at
  from customers_identity i
  join facts_fact f on f.subject_kind = i.kind and f.subject_key = i.key and f.kind = 'visit.recorded'
  where i.customer_id = any(%(numbers)s) and {passed} group by i.customer_id
) n where m.customer_id = n.customer_id
"""
PASSED = "(f.epoch, f.tx, f.id) <= (%(epoch)s, %(tx)s::text::xid8, %(id)s)"
EMPTY_METRICS = """
insert into commerce_customermetric (customer_id, orders, gmv, refunded, visits)
select distinct i.customer_id, 0, 0, 0, 0 from customers_identity i
where i.customer_id = any(%(numbers)s)
on conflict (customer_id) do nothing
"""
DROP_EMPTY_METRICS = """
delete from commerce_customermetric
where customer_id = any(%(numbers)s) and orders = 0 and refunded = 0 and gmv = 0 and visits = 0
"""

UNKNOWN_STORES = """
select w.received_at, w.id, w.body->>'store' from window_fact w
where w.kind = any(array['order.placed', 'order.refunded']) and w.body->>'store' is not null
  and not exists (select from resources_store s where s.code = w.body->>'store')
"""
UNKNOWN_STAFF = """
select w.received_at, w.id, w.body->>'staff' from window_fact w
where w.kind = 'order.placed' and w.body->>'staff' is not null
  and not exists (select from resources_staff t where t.userid = w.body->>'staff')
"""
