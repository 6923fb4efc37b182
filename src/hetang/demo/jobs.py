"""The demo's job, as `settings.JOBS` names it."""

from __future__ import annotations

import os
from typing import Any

from hetang.demo import load, simulated, trial
from hetang.demo.files import World
from hetang.platform.jobs import Work, job


@job("demo.trial", own_process=True)
def demo_trial(work: Work) -> dict[str, Any]:
    """Seed the simulator with the customers of this installation. Safe to repeat."""
    return trial.trial(work)


@job("demo.load", own_process=True)
def demo_load(work: Work) -> dict[str, Any]:
    """Import the demo brand, then seed the simulator and bring its friendships in. Safe to repeat."""
    drawn = World()
    counts = load.load(work, drawn)
    result: dict[str, Any] = {name: one["counts"] for name, one in counts.items()}
    if os.environ.get("HETANG_SIMULATOR_URL"):
        work.progress(95, 100, "simulator")
        result["simulator"] = simulated.populate(drawn, work)
    work.progress(100, 100, "done")
    return result
