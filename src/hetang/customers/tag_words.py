"""Tags as rules ask for them by the word that put them on: when, and which source said it. The newest word counts: who
is given a tag again that she wears has it from then on. Tags that rules keep have no such words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.customers.models import CustomerTag
from hetang.platform import clock

# Ids of tags, sources, and since when; what is empty is not asked for.
Wanted = tuple[tuple[int, ...], tuple[str, ...], datetime | None]


@dataclass(frozen=True, slots=True)
class Word:
    """What put on a tag (its code) that a customer wears."""

    tag: str
    source: str
    at: datetime


def customers_tagged(tags: tuple[int, ...], sources: tuple[str, ...], since: datetime | None) -> BitMap:
    """Customers who wear any of these tags by a word of one of these sources, said since then. One statement: a walk
    through who wears them, by an index."""
    tests, params = [], {"tags": list(tags), "now": clock.now(), "sources": list(sources), "since": since}
    if sources:
        tests.append("and source = any(%(sources)s)")
    if since is not None:
        tests.append("and occurred_at >= %(since)s")
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # binary: see `audiences.following`
        cursor.execute(_TAGGED + " ".join(tests), params, binary=True)
        (numbers,) = cursor.fetchone() or (None,)
    return BitMap(numbers or ())


def of_customer(number: int) -> tuple[Word, ...]:
    """The words on all tags that a customer wears, but those that rules keep. One query."""
    worn = CustomerTag.objects.filter(customer=number, on=True).exclude(expires_at__lte=clock.now())
    return tuple(Word(*row) for row in worn.values_list("tag__code", "source", "occurred_at"))


def sources(words: Sequence[str], limit: int) -> list[str]:
    """Sources that put on tags which are worn, that hold every word; the first ones by name. A scan of those tags."""
    found: Any = CustomerTag.objects.filter(on=True)
    for word in words:
        found = found.filter(source__icontains=word)
    return list(found.order_by("source").values_list("source", flat=True).distinct()[:limit])


_TAGGED = """
select array_agg(distinct customer_id) from customers_customertag
where tag_id = any(%(tags)s) and "on" and (expires_at is null or expires_at > %(now)s)
"""
