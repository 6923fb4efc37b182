"""The history tables in the engine that all tests share, and a small brand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hetang.audiences import catalogues
from hetang.commerce import history as commerce_history
from hetang.commerce import history_schema
from hetang.customers.models import Tag, TagGroup
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import brand, clickhouse, clock, engine_client
from hetang.platform.models import OrgNode
from tests.audiences.three_people import NOW


@pytest.fixture(scope="module")
def history(engine: str) -> Iterator[None]:
    """The history tables, empty before and after the module."""
    commerce_history.ensure_schema()
    _empty()
    yield
    _empty()


def _empty() -> None:
    for table in history_schema.ALL:
        clickhouse.command(f"truncate table {table}")


@pytest.fixture
def three_people(clickhouse: str) -> Iterator[None]:
    """ann, bea and cat, and a tag `gold` that nobody wears."""
    commerce_history.ensure_schema()
    brand.forget()
    catalogues.forget()
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="x")
    root.path = f"{root.id}."
    root.save()
    Tag.objects.create(code="gold", name="Gold", group=TagGroup.objects.create(name="Value"))
    who = [
        Draft("customer.described", f"d{m}", NOW - timedelta(days=90), [("member", m)], {"attributes": {}})
        for m in ("ann", "bea", "cat")
    ]
    assert record("till", who).rejected == []
    run_until_idle()
    engine_client.call("sets", "holds", {"numbers": []})  # so that pages are answered from the sets of now
    yield
    clock.freeze(None)
