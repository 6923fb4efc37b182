"""Whether what audiences are made of equals a recomputation from PostgreSQL: the live sets and the columnar history."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from pyroaring import BitMap

from hetang.audiences import following
from hetang.audiences.live import LiveSets
from hetang.commerce import verification as history
from hetang.customers import kept
from hetang.customers.models import KeptTag, Tag
from hetang.facts import queries as facts
from hetang.platform import engine_client

STREAMS = frozenset({"customers", "commerce", "history"})
REST_S = 30.0
SHOWN = 5  # numbers of customers named for a set that differs
_TIMEOUT_S = 1800.0
_EMPTY = BitMap()


@dataclass(frozen=True)
class SetDifference:
    """A live set that holds people too many or lacks some; `numbers` are the first of them."""

    family: str
    key: str
    too_many: int
    missing: int
    numbers: list[int]


@dataclass
class Report:
    """`waiting`: facts that a stream has not applied yet by name; sums of the history may differ by them."""

    customers: int = 0
    sets: int = 0
    set_differences: list[SetDifference] = field(default_factory=list)
    kept_differences: list[SetDifference] = field(default_factory=list)  # tags that rules keep, against their facts
    history_differences: list[history.Difference] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        return not (self.set_differences or self.kept_differences or self.history_differences)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {"equal": self.equal, **asdict(self)}


def verify(rest_s: float = REST_S) -> Report:
    """Recompute and compare, while everything goes on working.

    The engine builds its sets a second time from PostgreSQL and compares both at the same position. A tag that a rule
    keeps is folded from its facts, and compared with its set and with the bits that SQL looks into. The history is
    compared by sums, once its streams rest or `rest_s` have passed. Costs a reading of all tags, consents, relations
    and metrics: minutes for 20 million people. Raises EngineUnavailable, ServiceError, `clickhouse_connect` errors.
    """
    started = time.monotonic()
    answer = engine_client.call("sets", "verify", {}, timeout_s=_TIMEOUT_S)
    found = [SetDifference(**one) for one in answer["differences"]]
    waiting = _wait(rest_s)
    wrong = list(_kept_differences())
    report = Report(answer["customers"], answer["sets"], found, wrong, list(history.differences()), waiting)
    report.seconds = round(time.monotonic() - started, 1)
    return report


def repair(report: Report) -> None:
    """Build anew what differs: the engine's sets, and sets and bits of kept tags. The history has its own command.
    Raises EngineUnavailable."""
    for tag in Tag.objects.filter(code__in={one.key for one in report.kept_differences}):
        kept.rebuild(tag)
    if report.set_differences:
        engine_client.call("sets", "rebuild", {}, timeout_s=_TIMEOUT_S)


def _kept_differences() -> Iterator[SetDifference]:
    """Facts, set and bits of a tag change in one transaction, under the row that is held while they are read."""
    for tag in Tag.objects.exclude(kept=None).order_by("pk"):
        with transaction.atomic():
            KeptTag.objects.select_for_update().get(tag=tag)
            truth = kept.folded(tag)
            readings = {"kept_tag": kept.members_of(tag.pk), "kept_tag_bits": kept.from_bits(tag.pk)}
        for family, members in readings.items():
            more, less = members - truth, truth - members
            if more or less:
                yield SetDifference(family, tag.code, len(more), len(less), list((more | less)[:SHOWN]))


def differing(ours: LiveSets, built: LiveSets) -> dict[tuple[str, Any], tuple[BitMap, BitMap]]:
    """By family and key: who is too much in our set, and who is missing in it."""
    found = {}
    for family, known in ours.families.items():
        anew = built.families[family]
        for key in {*known, *anew}:
            mine, hers = known.get(key, _EMPTY), anew.get(key, _EMPTY)
            if mine != hers:
                found[family, key] = (mine - hers, hers - mine)
    return found


def as_rows(found: dict[tuple[str, Any], tuple[BitMap, BitMap]]) -> list[dict[str, Any]]:
    """The differences as `SetDifference` in JSON."""
    return [
        asdict(SetDifference(family, str(key), len(more), len(less), list((more | less)[:SHOWN])))
        for (family, key), (more, less) in sorted(found.items(), key=str)
    ]


def at_one_position(ours: LiveSets, now: datetime, built: LiveSets) -> tuple[LiveSets, LiveSets]:
    """Both after everything that is committed: what commits between the two readings is read once more."""
    for _ in range(100):
        ours, built = following.follow(ours, now), following.follow(built, now)
        if ours.position == built.position:
            return ours, built
    raise TimeoutError("customers change faster than two sets can follow")


def _wait(rest_s: float) -> dict[str, int]:
    deadline = time.monotonic() + rest_s
    while True:
        waiting = {lag.name: lag.waiting for lag in _lags() if lag.waiting}
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(0.2)


def _lags() -> Iterable[facts.Lag]:
    return [lag for lag in facts.lags() if lag.name in STREAMS]
