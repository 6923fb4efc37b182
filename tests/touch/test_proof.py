"""Promises kept through `kill -9`: run in processes and a database of their own (see `tests.touch.proof`)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


def proof(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.touch.proof", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(("channel", "people"), [("wecom", "20000"), ("direct", "4000"), ("keyed", "4000")])
def test_five_kills_lose_and_double_nobody_though_the_provider_drops_answers(channel: str, people: str) -> None:
    found = proof("kills", "--people", people, "--kills", "5", "--channel", channel, "--mode", "drop")
    assert found["kills"] == 5
    assert (found["lost"], found["doubled"], found["strangers"], found["unbalanced"]) == (0, 0, 0, 0)
    assert found["sent"] == found["delivered"] == int(people) - found["control"]
    assert found["states"] == ["control", "sent"]


def test_broadcasts_planned_at_once_keep_the_cap_together() -> None:
    found = proof("caps", "--people", "3000")
    assert found["over_cap"] == 0
    assert found["written"] == found["room"]  # and nobody was left out who had room
