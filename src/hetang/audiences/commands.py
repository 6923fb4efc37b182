"""What an engineer asks of the audiences from a shell. Each function prints and returns the exit code."""

from __future__ import annotations

import json

from hetang.audiences import verification
from hetang.platform.engine_client import EngineUnavailable, ServiceError

_SHOWN = 20


def verify(*, as_json: bool, repair: bool) -> int:
    """Compare sets and history with a recomputation; 0 when they are equal, 1 when not, 2 when nobody could say."""
    try:
        report = verification.verify()
        if repair:
            verification.repair(report)
    except (EngineUnavailable, ServiceError) as problem:
        print(f"The engine cannot be asked: {problem}. Is Hetang running? `hetang doctor` says more.")
        return 2
    if as_json:
        print(json.dumps(report.as_json(), indent=1))
        return 0 if report.equal else 1
    print(f"{report.sets} live sets of {report.customers} customers and the history compared in {report.seconds} s.")
    for name, count in report.waiting.items():
        print(f"- the stream {name} has {count} facts to apply; sums of the history may differ by them")
    sets = [*report.set_differences, *report.kept_differences]
    for one in sets[:_SHOWN]:
        numbers = ", ".join(map(str, one.numbers))
        print(f"- set {one.family} {one.key}: {one.too_many} too many, {one.missing} missing (customers {numbers} …)")
    for other in report.history_differences[:_SHOWN]:
        print(f"- history {other.what}, part {other.part} of 256: {other.history} instead of {other.truth}")
    hidden = max(len(sets) - _SHOWN, 0) + max(len(report.history_differences) - _SHOWN, 0)
    if hidden:
        print(f"- and {hidden} more")
    print(_conclusion(report, repair))
    return 0 if report.equal else 1


def _conclusion(report: verification.Report, repair: bool) -> str:
    if report.equal:
        return "Everything equals its recomputation."
    told = []
    if report.set_differences or report.kept_differences:
        told.append("They were built anew." if repair else "`hetang audiences verify --repair` builds them anew.")
    if report.history_differences:
        told.append("`hetang rebuild-history` fills the history again.")
    return " ".join(told)
