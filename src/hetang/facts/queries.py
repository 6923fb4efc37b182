"""What the log can tell: lag of the streams, facts held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.facts.models import HeldFact, SubscriptionCursor
from hetang.facts.subscriptions import Subscription, all_subscriptions
from hetang.platform import clock
from hetang.platform.ids import fact_key_hash


@dataclass(frozen=True)
class Lag:
    """How far a stream is behind: facts waiting (counted up to `CAP`) and the age of the oldest, seconds. One that is
    `outside` finds by itself what it cannot take, so nobody can let it pass a fact."""

    name: str
    waiting: int
    capped: bool
    seconds: float
    applied: int
    error: str
    failed_at: datetime | None
    outside: bool = False


CAP = 100_000


def lags() -> list[Lag]:
    """The lag of every stream. Cost: an index scan of the waiting facts, at most 100,000 a stream."""
    cursors = {row.name: row for row in SubscriptionCursor.objects.all()}
    return [_lag(sub, cursors.get(sub.name) or SubscriptionCursor(name=sub.name)) for sub in all_subscriptions()]


def stopped() -> list[str]:
    """The streams that stand at a fact that they cannot apply. One query of a few rows."""
    return list(SubscriptionCursor.objects.exclude(failed_at=None).order_by("name").values_list("name", flat=True))


def open_held() -> int:
    """How many facts are held and open, counted up to 10,000."""
    return HeldFact.objects.filter(state=HeldFact.OPEN)[:10_000].count()


def known_keys(source: str, keys: Sequence[str]) -> set[str]:
    """Those of these keys under which the log has a fact of this source. An indexed lookup each, 2 microseconds."""
    hashes = {fact_key_hash(source, key): key for key in keys}
    with connection.cursor() as cursor:
        cursor.execute("select key_hash from facts_key where key_hash = any(%s::uuid[])", [list(hashes)])
        return {hashes[one.hex] for (one,) in cursor.fetchall()}


def newest_keys(
    source: str, kind: str, stem: str, subjects: Sequence[tuple[str, str]], before: datetime
) -> dict[tuple[str, str], str]:
    """The key of the newest fact of a source and kind about each subject (kind, key), among those whose key begins with
    `stem` and that hold from before an instant. Goes through the facts about each subject since that one."""
    params: dict[str, Any] = {
        "kinds": [one for one, _key in subjects],
        "keys": [key for _kind, key in subjects],
        "like": f"{stem}%",
        "source": source,
        "kind": kind,
        "before": before,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, params)
        return {(subject_kind, subject_key): key for subject_kind, subject_key, key in cursor.fetchall()}


_NEWEST = """
select w.kind, w.key, f.key from unnest(%(kinds)s::text[], %(keys)s::text[]) as w(kind, key)
cross join lateral (
  select f.key from facts_fact f
  where f.subject_kind = w.kind and f.subject_key = w.key and f.occurred_at < %(before)s
    and f.kind = %(kind)s and f.source = %(source)s and f.key like %(like)s
  order by f.occurred_at desc limit 1
) f
"""


def _lag(stream: Subscription, row: SubscriptionCursor) -> Lag:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), min(received_at) from (select received_at from facts_fact"
            " where (epoch, tx, id) > (%s, %s::text::xid8, %s) order by epoch, tx, id limit %s) waiting",
            [row.epoch, str(row.tx), row.fact_id, CAP],
        )
        waiting, oldest = cursor.fetchone()
    seconds = max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0.0
    return Lag(stream.name, waiting, waiting >= CAP, seconds, row.applied, row.error, row.failed_at, stream.outside)
