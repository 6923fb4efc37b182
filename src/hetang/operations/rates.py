"""How much a counter of the whole installation has grown lately, for rules about failures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from hetang.platform import metric_files
from hetang.platform.metrics import Sample

WINDOW_S = 600.0

Labels = dict[str, str]


class Recent:
    """Growth of the counters `name`, by what `key` makes of their labels ("" leaves one out), within ten minutes."""

    def __init__(self, name: str, key: Callable[[Labels], str]) -> None:
        self.name, self.key = name, key
        self._looks: deque[tuple[float, dict[str, float]]] = deque()

    def growth(self, now: float | None = None) -> dict[str, float]:
        """By key, since the oldest look of the window. The first look finds nothing."""
        now = time.monotonic() if now is None else now
        totals = self._totals()
        self._looks.append((now, totals))
        while len(self._looks) > 2 and self._looks[1][0] <= now - WINDOW_S:
            self._looks.popleft()
        before = self._looks[0][1]
        grown = {key: total - before.get(key, 0.0) for key, total in totals.items()}
        return {key: value for key, value in grown.items() if value > 0}

    def _totals(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for sample in _samples(self.name):
            key = self.key(dict(sample.labels))
            if key:
                found[key] = found.get(key, 0.0) + sample.value
        return found


def newest(name: str) -> dict[str, float]:
    """A gauge of the whole installation by its first label."""
    return {sample.labels[0][1]: sample.value for sample in _samples(name) if sample.labels}


def _samples(name: str) -> list[Sample]:
    return [sample for family in metric_files.everything() if family.name == name for sample in family.samples]
