"""Letting time pass: the clock and everybody who acts by it, hour by hour, in committed steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hetang.simulator import acquisition, clicks, moments, population, staff, transfers
from hetang.simulator.state import State

STEP_S = 3600.0


@dataclass
class World:
    """The state and the draws of the days it is in."""

    state: State
    days: population.Days = field(default_factory=population.Days)

    def advance(self, seconds: float) -> dict[str, Any]:
        """Turn the clock ahead by `seconds` and let staff and people act until then. Posting to Hetang follows.

        API calls wait meanwhile: a task cannot be cancelled "after" a day in which its sender has yet to act.
        """
        with self.state.alone():
            self.state.turn(self.state.offset_s + seconds)
            return self.catch_up()

    def catch_up(self) -> dict[str, Any]:
        """Everybody acts from where they stopped until now. A crash in between repeats nothing: steps commit."""
        until = self.state.now()
        confirmed = bought = clicked = 0
        while True:
            with self.state.transaction() as db:
                start = float(self.state.value("acted_until", until))
                end = min(until, (start // STEP_S + 1) * STEP_S)
                transfers.settle(self.state, db, end)
                confirmed += staff.act(self.state, db, end)
                moments.act(self.state, db, end)
                acquisition.act(self.state, db, start, end)
                bought += population.act(self.state, db, self.days, start, end)
                clicked += clicks.due(db, start, end)
                self.state.keep("acted_until", max(start, end))
            if end >= until:
                break
        self.state.notify()
        return {"now": until, "confirmed": confirmed, "bought": bought, "clicked": clicked}
