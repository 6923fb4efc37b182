"""Fixtures of the privacy tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from hetang.facts import refusals
from hetang.platform import brand, clock, environment, lasting
from tests.console import cast as people
from tests.privacy import story


@pytest.fixture(autouse=True)
def _nothing_lasts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The lists and files of one test are not those of the next. An objection is known to all after 50 ms."""
    monkeypatch.setattr(refusals, "TTL_S", 0.05)
    brand.forget()
    refusals.forget()
    shutil.rmtree(environment.home() / "files", ignore_errors=True)  # of rooms that tested before
    yield
    clock.freeze(None)
    refusals.forget()
    for name in lasting.NAMES:
        lasting.path(name).unlink(missing_ok=True)
    shutil.rmtree(environment.home() / "files", ignore_errors=True)


@pytest.fixture
def eve(clickhouse: str) -> int:
    """Eve's number, with all her traces laid."""
    return story.come_in(people.make())
