"""The worker's loops that let the streams follow the log.

Three of them, so that recognising people, adding up their orders and feeding the history go on side by side: under load
every connection gets its share of the machine, and nobody waits for sums while the history is written.
"""

from __future__ import annotations

from hetang.facts.subscriptions import run_once
from hetang.platform.loops import Loop

# From answer to visible metrics p99 < 1 s: a poll every 100 ms leaves most of it to the handlers.
IDLE_S = 0.1


def _lead() -> float:
    return 0.0 if run_once(lambda stream: stream.after is None and not stream.patient) else IDLE_S


def _follow() -> float:
    return 0.0 if run_once(lambda stream: stream.after is not None and not stream.patient) else IDLE_S


def _give_way() -> float:
    return 0.0 if run_once(lambda stream: stream.patient) else IDLE_S


leading = Loop("subscriptions.leading", _lead)
following = Loop("subscriptions.following", _follow)
patient = Loop("subscriptions.patient", _give_way)
