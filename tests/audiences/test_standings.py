"""What the engine remembers of standings: asked once while the history stands still, and never anybody who is gone."""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from hetang.audiences.buckets import Drawn
from hetang.audiences.engine import LeafCache, State, View
from hetang.audiences.live import LiveSets
from hetang.audiences.past import Past
from hetang.audiences.plans import Query, Ranked
from hetang.audiences.standing_rules import Percentile
from hetang.audiences.standings import Standings, Values
from tests.audiences.population import MOMENT

HALF, FIFTH = (Ranked(Percentile("top", mille, "orders"), Query("select", ())) for mille in (500, 200))
NUMBERS, ORDERS = np.arange(1, 11, dtype=np.uint32), np.array([1, 2, 3, 4, 5, 6, 7, 9, 9, 9], np.float64)


class Asked:
    """Gives ten people with their orders, and counts how often."""

    times = 0

    def __call__(self, _step: Ranked) -> Values:
        self.times += 1
        return Values(NUMBERS, [ORDERS])


def test_values_are_asked_for_once_until_the_history_moves_and_very_many_are_not_kept() -> None:
    roomy, narrow, asked = Standings(), Standings(0), Asked()
    for standings, times in ((roomy, (1, 1, 1, 2)), (narrow, (3, 4, 4, 5))):
        found = []
        for step, version in ((HALF, 1), (FIFTH, 1), (HALF, 1), (HALF, 2)):
            people, borders = standings.answer(step, version, asked)
            found.append(asked.times)
            expected = range(8, 11) if step is FIFTH else range(6, 11)  # three are equal at the border of two
            assert (people, borders.at) == (BitMap(expected), ((float(ORDERS[expected[0] - 1]),),))
        assert tuple(found) == times


def test_whoever_was_erased_since_is_in_no_remembered_answer() -> None:
    standings, alive = Standings(), LiveSets()
    standings.answer(HALF, (1, 1, 1), Asked())
    alive.families["alive"][True] = BitMap([8, 10])
    view = View(State(alive, (1, 1, 1), MOMENT, {}), LeafCache(), Drawn(), Past(), standings)
    assert view.ranked(HALF)[0] == BitMap([8, 10])
