"""The worker's loops that let the streams follow the log.

Three of them, so that recognising people, adding up their orders and feeding the history go on side by side: under load
every connection gets its share of the machine, and nobody waits for sums while the history is written.
"""

from __future__ import annotations

from hetang.facts.subscriptions import idle_for, run_once
from hetang.platform.loops import Loop

# From answer to visible metrics p99 < 1 s: a poll every 100 ms leaves most of it to the handlers. While nothing comes,
# two streams one after the other still see the first fact within that second.
IDLE_S, RESTING_S = 0.1, 0.3
RESTS_AFTER_S = 5.0


def _lead() -> float:
    return _pause(run_once(lambda stream: stream.after is None and not stream.patient))


def _follow() -> float:
    return _pause(run_once(lambda stream: stream.after is not None and not stream.patient))


def _give_way() -> float:
    return 0.0 if run_once(lambda stream: stream.patient) else RESTING_S


def _pause(busy: bool) -> float:
    """Ten polls a second of an empty log by every stream cost a tenth of a core, day and night."""
    if busy:
        return 0.0
    return IDLE_S if idle_for() < RESTS_AFTER_S else RESTING_S


leading = Loop("subscriptions.leading", _lead)
following = Loop("subscriptions.following", _follow)
patient = Loop("subscriptions.patient", _give_way)
