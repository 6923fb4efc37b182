"""Promises kept through `kill -9`: run in processes and a database of their own (see `proof`).

No `db` here: a transaction that wrote something, in any database of the server, would hold the streams back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_five_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.connectors.wecom.proof", "--kills", "5", "--engine"]
    environment = {**os.environ, "HETANG_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert (found["kills"], found["rests"]) == (5, True), found
    assert (found["sync"], found["lost"], found["invented"], found["differ"]) == ("done", 0, 0, 0)
    assert (found["customers_doubled"], found["tags_lost"], found["events_given_up"]) == (0, 0, 0)
    # Nothing waited for the engine, and what it holds has followed.
    assert found["engine_kills"] > 0
    assert (found["history_lost"], found["history_doubled"], found["live_sets_differ"]) == (0, 0, 0), found
    # Kept once each, however often a killed web process let WeCom repeat them.
    assert found["events_posted"] == found["events_kept"] == found["events_applied"]
    assert found["welcomes_sent"] == found["welcomes_counted"]
    # A mark is made again only if its process died before it could note it: at most a batch for each kill.
    assert found["mark_calls_repeated"] <= 5 * 200
