"""Fixtures of the security tests: those of the console's, and a brand for hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hetang.audiences import queries
from hetang.customers.models import Customer
from hetang.platform import brand
from tests.console.conftest import cast, headquarters, manager
from tests.console.scope.world import World, make
from tests.security import hostile

__all__ = ["cast", "headquarters", "manager", "world"]


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The brand of the scope tests with more people; every rule is answered with everybody, since the engine sees
    committed people only."""
    brand.forget()
    made = make()
    hostile.come_in(made)
    monkeypatch.setattr(queries, "preview", _everybody)
    yield made
    brand.forget()


def _everybody(_rule: dict[str, Any], _scope: Any, sample: int = 8, cached: bool = True) -> queries.Preview:
    numbers = list(Customer.objects.filter(merged_into=None).values_list("pk", flat=True))
    return queries.Preview(len(numbers), len(numbers), numbers[:sample])
