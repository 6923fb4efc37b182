"""Metrics of several processes, added up, in the form that Prometheus reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetang.platform import environment, metric_files, metrics
from hetang.platform.metrics import COUNTER, GAUGE, Counter, Family, Gauge, Histogram, Sample

LINE = re.compile(r'[a-z_:]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? -?[0-9.e+-]+')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(environment, "home", lambda: tmp_path)
    monkeypatch.setattr(metrics, "_known", {})
    yield tmp_path / "run" / "metrics"


def test_the_text_is_what_prometheus_reads(folder: Path) -> None:
    counter, histogram = Counter("hetang_a_total", "A\nb.", ("route",)), Histogram("hetang_b", "B.", (), (0.1, 1.0))
    counter.add('odd "name"\\\n')
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    lines = metrics.text(metrics.families()).splitlines()
    assert lines[0] == "# HELP hetang_a_total A\\nb."
    assert lines[2] == 'hetang_a_total{route="odd \\"name\\"\\\\\\n"} 1'
    assert lines[-5:] == [
        'hetang_b_bucket{le="0.1"} 2',
        'hetang_b_bucket{le="1"} 3',
        'hetang_b_bucket{le="+Inf"} 4',
        "hetang_b_count 4",
        "hetang_b_sum 7.65",
    ]


def test_counters_of_a_process_that_died_are_counted_once_and_its_gauges_are_forgotten(folder: Path) -> None:
    counter, gauge = Counter("hetang_a_total", "A."), Gauge("hetang_g", "G.")
    counter.add()
    gauge.set(1)
    folder.mkdir(parents=True)
    dead = [Family("hetang_a_total", COUNTER, "A.", (Sample("hetang_a_total", (), 41),)),
            Family("hetang_g", GAUGE, "G.", (Sample("hetang_g", (), 99),))]  # fmt: skip
    path = folder / "999999-1.json"
    path.write_text(json.dumps([metric_files._plain(one) for one in dead]))
    content = path.read_text()
    for _ in range(3):
        assert _values() == {"hetang_a_total": 42, "hetang_g": 1}
        assert not path.exists()
        path.write_text(content)  # as if it had died between the two steps of folding
        _note_folded(folder, path.name)
    assert metric_files.everything()


def test_labels_without_end_end_up_under_one_name(folder: Path) -> None:
    counter = Counter("hetang_a_total", "A.", ("route",))
    for number in range(metrics._MOST_SERIES + 50):
        counter.add(str(number))
    samples = counter.family().samples
    assert len(samples) == metrics._MOST_SERIES + 1
    assert next(one.value for one in samples if one.labels == (("route", "other"),)) == 50


def _values() -> dict[str, float]:
    found = metric_files.everything()
    assert all(LINE.fullmatch(line) for line in metrics.text(found).splitlines() if not line.startswith("#"))
    return {one.name: one.samples[0].value for one in found if one.name in ("hetang_a_total", "hetang_g")}


def _note_folded(folder: Path, name: str) -> None:
    gone = json.loads((folder / "gone.json").read_text())
    assert name in gone["folded"]
