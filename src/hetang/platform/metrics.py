"""Counters, gauges and histograms of this process, and the text in which Prometheus reads them.

An installation is several processes: each writes its values to a file below HOME/run/metrics every few seconds, and
whoever is asked adds them up (`hetang.platform.metric_files`). Changing a value costs about a microsecond.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_SERIES = 2_000  # of one family: labels that grow without end must not eat the process
_lock = threading.Lock()


@dataclass(frozen=True)
class Sample:
    """One value with its labels. `suffix` is for the parts of a histogram."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """A metric as Prometheus knows it: name, type, meaning, values."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...] = ()


class Metric:
    """What this process counts under one name."""

    kind = GAUGE

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}
        with _lock:
            if name in _known:
                raise ValueError(f"{name} is declared twice")
            _known[name] = self

    def family(self) -> Family:
        """A consistent copy."""
        with _lock:
            values = dict(self._values)
        return Family(self.name, self.kind, self.help, tuple(self._sample(key, value) for key, value in values.items()))

    def _sample(self, key: tuple[str, ...], value: float) -> Sample:
        return Sample(self.name, tuple(zip(self.labels, key, strict=True)), value)

    def _key(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels not in self._values and len(self._values) >= _MOST_SERIES:
            return tuple("other" for _ in labels)
        return labels


class Counter(Metric):
    """Only grows."""

    kind = COUNTER

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count; labels in the order of the declaration."""
        with _lock:
            key = self._key(labels)
            self._values[key] = self._values.get(key, 0.0) + by


class Gauge(Metric):
    """The newest value; of several processes the greatest counts."""

    def set(self, value: float, *labels: str) -> None:
        """Note the value; labels in the order of the declaration."""
        with _lock:
            self._values[self._key(labels)] = value


class Histogram(Metric):
    """How many values fell below each bound, their number and their sum."""

    kind = HISTOGRAM

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), bounds: Sequence[float] = LATENCY_S) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one value; labels in the order of the declaration."""
        with _lock:
            key = self._key(labels)
            self._values[key] = self._values.get(key, 0.0) + value
            counts = self._counts.setdefault(key, [0] * (len(self.bounds) + 1))
            counts[bisect_left(self.bounds, value)] += 1

    def family(self) -> Family:
        with _lock:
            values, counts = dict(self._values), {key: list(found) for key, found in self._counts.items()}
        samples = [sample for key, total in values.items() for sample in self._parts(key, counts[key], total)]
        return Family(self.name, self.kind, self.help, tuple(samples))

    def _parts(self, key: tuple[str, ...], counts: list[int], total: float) -> Iterable[Sample]:
        labels, below = tuple(zip(self.labels, key, strict=True)), 0
        for bound, count in zip((*map(_number, self.bounds), "+Inf"), counts, strict=True):
            below += count
            yield Sample(self.name, (*labels, ("le", bound)), below, "_bucket")
        yield Sample(self.name, labels, below, "_count")
        yield Sample(self.name, labels, total, "_sum")


_known: dict[str, Metric] = {}


def families() -> list[Family]:
    """What this process counts."""
    return [metric.family() for metric in list(_known.values())]


def text(found: Iterable[Family]) -> str:
    """Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for one in sorted(found, key=lambda family: family.name):
        if not one.samples:
            continue
        lines += [f"# HELP {one.name} {_escaped(one.help)}", f"# TYPE {one.name} {one.kind}"]
        lines += [_line(sample) for sample in one.samples]
    return "\n".join(lines) + "\n"


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in sample.labels)
    shown = f"{{{labels}}}" if labels else ""
    return f"{sample.name}{sample.suffix}{shown} {_number(sample.value)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
