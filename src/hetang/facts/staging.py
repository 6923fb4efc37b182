"""A window of facts laid out in a temporary table, for handlers that read it more than once.

The planner knows the real size of the table, whereas it guesses badly at a range of log positions: joins to the
small tables of stores and staff would otherwise be planned for one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from django.db import connection

from hetang.facts.subscriptions import Window

WINDOW = "window_fact"
_TABLE = """
create temporary table if not exists {table} (
  received_at timestamptz not null, id bigint not null, occurred_at timestamptz not null, kind text not null,
  source text not null, key text not null, fact_key text not null, subject_kind text, subject_key text,
  who jsonb, body jsonb, sealed bytea, members bytea
) on commit {fate} rows
"""
_FILL = """
insert into {table}
select f.received_at, f.id, f.occurred_at, f.kind, f.source, f.key, f.source || chr(31) || f.key,
       f.subject_kind, f.subject_key, f.who, case when f.kind = any(%(bodies)s) then f.body end, f.sealed,
       case when f.kind = any(%(bodies)s) then f.members end
from facts_fact f where {where}
"""


def stage(window: Window, bodies: Collection[str], table: str = WINDOW) -> Counter[str]:
    """Fill a temporary table and say how many facts of each kind it holds.

    `window_fact` lasts until commit; a `table` of another name until it is filled again, for handlers that work outside
    transactions. Bodies and members are copied for the kinds in `bodies` only: they are most of the bytes. 5,000
    orders: about 10 ms. `fact_key` is `source + chr(31) + key`, which breaks ties between facts of one instant.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TABLE.format(table=table, fate="delete" if table == WINDOW else "preserve"))
        # Rows of an earlier window: in one transaction (tests, replays), or of a table that outlasts its transaction,
        # which nothing vacuums.
        cursor.execute(f"delete from {table}" if table == WINDOW else f"truncate {table}")
        cursor.execute(_FILL.format(table=table, where=window.where), {**window.params, "bodies": sorted(bodies)})
        cursor.execute(f"select kind, count(*) from {table} group by kind")
        return Counter(dict(cursor.fetchall()))
