"""Rows of the columnar history, made by PostgreSQL from `history_fact` and its own tables, in COPY's text format,
which ClickHouse reads as TabSeparated."""

from __future__ import annotations

from hetang.commerce import sums

_TIME = "date_trunc('milliseconds', {} at time zone 'UTC')"
_AT = _TIME.format("w.occurred_at")
_WHO = "left join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key"
_STORE = "left join resources_store s on s.code = w.body->>'store'"
_DAY = "(w.occurred_at at time zone coalesce(nullif(s.time_zone, ''), %(zone)s))::date"
_BRAND_DAY = "(w.occurred_at at time zone %(zone)s)::date"
_PLACE = "coalesce(w.body->>'store', ''), coalesce(w.body->>'channel', 'store')"

REFUND_COLUMNS = "customer, refunded_at, day, source, refund_key, order_key, store, channel, amount"
_REFUND = (
    f"coalesce(r.customer_id, 0), {_TIME.format('r.refunded_at')}, r.local_day, r.source, r.key, r.order_key,"
    " coalesce(s.code, {store}, ''), r.channel, r.amount"
)

FACTS = "history_fact"  # a temporary table that outlasts its transaction: see `facts.staging.stage`
# Table -> its columns and the select that makes them.
ROWS: dict[str, tuple[str, str]] = {
    "orders": (
        "customer, placed_at, day, source, order_key, store, channel, net, discount, lines",
        f"""
        select coalesce(i.customer_id, 0), {_AT}, {_DAY}, w.source, w.key, {_PLACE}, w.body->>'net',
               coalesce(w.body->>'discount', '0'), jsonb_array_length(w.body->'lines')
        from history_fact w {_WHO} {_STORE} where w.kind = 'order.placed'
        """,
    ),
    "order_lines": (
        "customer, placed_at, day, source, order_key, store, channel, sku, category, quantity, amount",
        f"""
        select o.customer, o.at, o.day, o.source, o.key, o.store, o.channel, l.sku, {sums.CATEGORY},
               coalesce(l.quantity, '1'), l.amount
        from (
          select coalesce(i.customer_id, 0) as customer, {_AT} as at, {_DAY} as day, w.source, w.key,
                 coalesce(w.body->>'store', '') as store, coalesce(w.body->>'channel', 'store') as channel, w.body, w.id
          from history_fact w {_WHO} {_STORE} where w.kind = 'order.placed' order by w.received_at, w.id offset 0
        ) o
        cross join lateral
          jsonb_to_recordset(o.body->'lines') as l(sku text, category text, amount bigint, quantity text)
        {sums.PRODUCT}
        """,
    ),
    "refunds": (
        REFUND_COLUMNS,
        f"""
        select {_REFUND.format(store="w.body->>'store'")}
        from history_fact w join commerce_refund r on r.source = w.source and r.key = w.key
        left join resources_store s on s.id = r.store_id where w.kind = 'order.refunded'
        """,
    ),
    "facts": (
        "customer, occurred_at, kind, source, key",
        f"select i.customer_id, {_AT}, w.kind, w.source, w.key"
        " from history_fact w join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key",
    ),
    # Last, since their rows carry no key by which a fact that was refused could be found again.
    "visits": (
        "customer, at, day, store, channel",
        f"select coalesce(i.customer_id, 0), {_AT}, {_DAY}, {_PLACE}"
        f" from history_fact w {_WHO} {_STORE} where w.kind = 'visit.recorded'",
    ),
    "clicks": (
        "customer, at, day, channel, programme, message_class",
        f"select i.customer_id, {_AT}, {_BRAND_DAY}, coalesce(w.body->>'channel', ''),"
        " coalesce(w.body->>'programme', '0'), coalesce(w.body->>'message_class', '')"
        " from history_fact w join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key"
        " where w.kind = 'click.identified'",
    ),
}
BODIES = frozenset(
    {
        *("order.placed", "order.refunded", "visit.recorded", "touch.sent", "touch.failed", "click.identified"),
        *("customer.merged", "customer.unmerged", "customer.erased"),
    }
)
OF_KIND = {
    "orders": "order.placed",
    "order_lines": "order.placed",
    "refunds": "order.refunded",
    "visits": "visit.recorded",
    "clicks": "click.identified",
}

# Refunds that were appended before their order came may stand under another person, store or day.
REFUNDS_OF_ORDERS = """
select r.id, r.source, r.key, coalesce(r.customer_id, 0), coalesce(s.code, ''), r.local_day
from history_fact w join commerce_refund r on r.source = w.source and r.order_key = w.key
left join resources_store s on s.id = r.store_id where w.kind = 'order.placed'
"""
REFUNDS_BY_ID = f"""
select {_REFUND.format(store="''")} from commerce_refund r left join resources_store s on s.id = r.store_id
where r.id = any(%(ids)s)
"""

MERGED = """
select distinct c.number, c.merged_into_id
from history_fact w join customers_customer c on c.number = (w.body->>'absorbed')::bigint
where w.kind = 'customer.merged' and c.merged_into_id is not null
"""
ERASED = """
select distinct n.number::bigint from history_fact w
cross join lateral jsonb_array_elements_text(w.body->'numbers') as n(number) where w.kind = 'customer.erased'
"""
# Tables whose rows are those of the facts that the identities of a person name.
OF_IDENTITIES = ("orders", "order_lines", "visits", "clicks", "facts")
NOW = "select number, coalesce(merged_into_id, number) from customers_customer where number = any(%(numbers)s)"
OF_DIVIDED = """
(f.subject_kind, f.subject_key) in (
  select i.kind, i.key from customers_identity i where i.customer_id = any(%(divided)s))
and (f.epoch, f.tx, f.id) <= (%(d_epoch)s, %(d_tx)s::text::xid8, %(d_id)s)
"""
REFUNDS_OF = "select source, key, coalesce(customer_id, 0) from commerce_refund where key = any(%(keys)s)"
TOUCHES = """
select w.received_at, w.id, to_char(w.occurred_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'),
       (w.occurred_at at time zone %(zone)s)::date::text, w.body->>'channel', w.body->>'programme',
       coalesce(w.body->>'message_class', 'marketing'), substr(w.kind, 7), w.members
from history_fact w where w.kind in ('touch.sent', 'touch.failed') order by w.received_at, w.id
"""

PEOPLE_TABLE = "create temporary table if not exists history_person (number bigint) on commit preserve rows"
PEOPLE = (
    "truncate history_person",
    """
    insert into history_person
    select i.customer_id from history_fact w
    join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key
    union select c.number from history_fact w, customers_customer c
    where w.kind = 'customer.merged'
      and (c.number = (w.body->>'absorbed')::bigint or c.number = (w.body->>'survivor')::bigint)
    union select c.number from history_fact w cross join jsonb_array_elements_text(w.body->'people') as p(number)
    join customers_customer c on c.number = p.number::bigint where w.kind = 'customer.unmerged'
    union select r.customer_id from history_fact w join commerce_refund r on r.source = w.source and r.key = w.key
    where w.kind = 'order.refunded' and r.customer_id is not null
    """,
)
PROFILE_COLUMNS = (
    "customer, version, home_store, owner, first_order_at, last_order_at, orders, gmv, refunded, visits,"
    " last_visit_at, favourite_store, favourite_category, attributes_json, alive"
)
PROFILES = f"""
select c.number, %(version)s::bigint, coalesce(home.code, ''), coalesce(staff.userid, ''),
       {_TIME.format("m.first_order_at")}, {_TIME.format("m.last_order_at")}, coalesce(m.orders, 0),
       coalesce(m.gmv, 0), coalesce(m.refunded, 0), coalesce(m.visits, 0), {_TIME.format("m.last_visit_at")},
       coalesce(store.code, ''), coalesce(category.category, ''), coalesce(a.attributes, '{{}}'),
       (c.merged_into_id is null and c.erased_at is null)::int
from history_person n
join customers_customer c on c.number = n.number
left join resources_store home on home.id = c.home_store_id
left join resources_staff staff on staff.id = c.owner_id
left join commerce_customermetric m on m.customer_id = n.number
left join lateral (
  select s.code from commerce_customerstore t join resources_store s on s.id = t.store_id
  where t.customer_id = n.number order by t.orders desc, t.gmv desc, t.store_id limit 1
) store on true
left join lateral (
  select t.category from commerce_customercategory t
  where t.customer_id = n.number order by t.lines desc, t.amount desc, t.category limit 1
) category on true
left join lateral (
  select jsonb_object_agg(t.code, t.value #>> '{{}}')::text as attributes from customers_customerattribute t
  where t.customer_id = n.number and t.value is not null
) a on true
"""
