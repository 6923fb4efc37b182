"""Driving the folds inside a test's own transaction, where the log's cursor would not yet look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from hetang.commerce import subscriptions as commerce
from hetang.customers import subscriptions as customers
from hetang.customers.models import Customer, Identity
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.subscriptions import Window
from hetang.platform.sealing import lookup_key

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def draft(kind: str, key: str, who: Sequence[tuple[str, str]] = (), days: float = 0, **body: Any) -> Draft:
    return Draft(kind, key, at(days), list(who), body)


def order(
    key: str, who: Sequence[tuple[str, str]], net: int, days: float = 0, category: str = "BREAD", **body: Any
) -> Draft:
    lines = [{"sku": f"sku-{category}", "category": category, "amount": net}]
    return draft("order.placed", key, who, days, lines=lines, net=net, **body)


def apply(*drafts: Draft, source: str = "pos") -> None:
    """Record facts and fold them at once: customers first, then commerce, up to and with the merges."""
    before = last_id()
    outcome = intake.record(source, drafts)
    assert not outcome.rejected, outcome.rejected
    fold_after(before)


def fold_after(before: int) -> None:
    middle = last_id()
    customers.handle(window(before, middle))
    commerce.handle(window(before, last_id()))


def window(after: int, until: int) -> Window:
    return Window("f.id > %(a)s and f.id <= %(u)s", {"a": after, "u": until}, until - after, f"test:{after}:{until}")


def last_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(max(id), 0) from facts_fact")
        return int(cursor.fetchone()[0])


def number_of(kind: str, value: str) -> int:
    key = lookup_key(kind, value) if kind in {"phone", "email"} else value
    return int(Identity.objects.values_list("customer_id", flat=True).get(kind=kind, key=key))


def customer_of(kind: str, value: str) -> Customer:
    return Customer.objects.get(number=number_of(kind, value))


def partition() -> set[frozenset[tuple[str, str]]]:
    """The identities that are one person, person by person."""
    people: dict[int, set[tuple[str, str]]] = {}
    for kind, key, number in Identity.objects.values_list("kind", "key", "customer_id"):
        people.setdefault(number, set()).add((kind, key))
    return {frozenset(identities) for identities in people.values()}


@contextmanager
def undone() -> Iterator[None]:
    """Run a block in a savepoint that is always rolled back (one example of a property)."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
