"""The worker's loops that let the streams follow the log.

Two of them, so that recognising people and adding up their orders go on side by side: under load every connection gets
its share of the machine, and the streams must not fall behind the many that bring facts in.
"""

from __future__ import annotations

from hetang.facts.subscriptions import run_once
from hetang.platform.loops import Loop

# From answer to visible metrics p99 < 1 s: a poll every 100 ms leaves most of it to the handlers.
IDLE_S = 0.1


def _lead() -> float:
    return 0.0 if run_once(dependent=False) else IDLE_S


def _follow() -> float:
    return 0.0 if run_once(dependent=True) else IDLE_S


leading = Loop("subscriptions.leading", _lead)
following = Loop("subscriptions.following", _follow)
