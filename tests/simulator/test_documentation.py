"""The page for developers lists every call that the simulator answers, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import hetang.simulator.server  # noqa: F401 - fills the routing table
from hetang.simulator.calls import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "simulate.md"


def test_every_call_is_listed() -> None:
    table = PAGE.read_text().split("## What it answers")[1].split("\n\n")[1]
    assert set(re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*)`", table)) == set(ROUTES)
