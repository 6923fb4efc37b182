"""Addresses of messages that are still to be sent, under a new lookup key: a direct channel finds the value by them."""

from __future__ import annotations

from django.db import connection

CHUNK = 2_000
_OLD = """
select t.id, t.planned_at, i.key from touch_touch t join customers_identity i on i.former_key = t.address
where i.former_key is not null and t.sent_at is null and t.address <> ''
"""
_UPDATE = """
update touch_touch t set address = n.address
from unnest(%(ids)s::bigint[], %(ats)s::timestamptz[], %(addresses)s::text[]) as n(id, planned_at, address)
where t.id = n.id and t.planned_at = n.planned_at
"""


def follow() -> int:
    """Write the addresses that are former keys of identities by their keys of today; returns how many. The ledger is
    read once, without a write, and changed in chunks."""
    with connection.cursor() as cursor:
        cursor.execute(_OLD)
        rows = cursor.fetchall()
        for start in range(0, len(rows), CHUNK):
            ids, ats, addresses = zip(*rows[start : start + CHUNK], strict=True)
            cursor.execute(_UPDATE, {"ids": list(ids), "ats": list(ats), "addresses": list(addresses)})
    return len(rows)
