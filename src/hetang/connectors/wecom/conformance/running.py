"""One conformance run: the same calls to both sides, what each answered, and how the answers differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from hetang.connectors.wecom.conformance import script, shapes
from hetang.connectors.wecom.conformance.script import Known, Step
from hetang.connectors.wecom.conformance.shapes import Difference
from hetang.platform import trust

PAUSE_S = 0.2  # polite: fifty calls in ten seconds
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Side:
    """A corp to ask: the platform's, or a simulated one."""

    base_url: str
    corpid: str
    agentid: int
    secret: str


@dataclass(frozen=True)
class Record:
    """One step: both answers without what is personal, and the differences. `skipped`: why it was not compared."""

    step: Step
    real: Any = None
    simulated: Any = None
    differences: tuple[Difference, ...] = ()
    skipped: str = ""


@dataclass
class Report:
    """A whole run."""

    corpid: str
    base_url: str
    begun_at: float
    wrote: bool
    records: list[Record] = field(default_factory=list)

    @property
    def different(self) -> list[Record]:
        """Steps whose answers differ in a way that matters."""
        return [one for one in self.records if any(each.matters for each in one.differences)]

    @property
    def compared(self) -> int:
        return sum(not one.skipped for one in self.records)


class Unusable(Exception):
    """The platform gives no token, so there is nothing to compare; the text says its code."""


def run(real: Side, simulated: Side, *, write: bool = False, tell: Tell = print) -> Report:
    """Ask both sides everything. With `write` also the steps that change something, each told before it is done.

    Raises Unusable, and httpx.HTTPError where the platform cannot be reached at all.
    """
    report = Report(shapes.masked(real.corpid), real.base_url, time.time(), write)
    steps: Sequence[Step] = (*script.READ, *(script.WRITE if write else ()))
    with _Asking(simulated) as ours, _Asking(real) as theirs:
        for step in script.SIMULATED_ONLY:
            ours.ask(step)
        for number, step in enumerate(steps):
            if step.writes:
                tell(f"  writes: {step.path}: {step.writes}")
            said, should = theirs.ask(step), ours.ask(step)
            if number == 0 and not theirs.known.get("token"):
                raise Unusable(str(said.get("errcode")) if said else "")
            report.records.append(_record(step, said, should))
            time.sleep(PAUSE_S if said is not None else 0)
    return report


def _record(step: Step, real: Any, simulated: Any) -> Record:
    if real is None:
        return Record(step, skipped="nothing to ask about at the platform")
    masked = shapes.masked(real)
    if simulated is None:
        return Record(step, masked, skipped="nothing to ask about at the simulator")
    found = tuple(shapes.differences(real, simulated))
    return Record(step, masked, shapes.masked(simulated), found)


class _Asking:
    """Calls to one side, and what is known of it so far."""

    def __init__(self, side: Side) -> None:
        base = side.base_url.rstrip("/") + "/cgi-bin/"
        self._http = httpx.Client(base_url=base, timeout=_TIMEOUT, verify=trust.context())
        self.known: Known = {
            "corpid": side.corpid,
            "agentid": side.agentid,
            "secret": side.secret,
            "now": int(time.time()),
        }

    def __enter__(self) -> _Asking:
        return self

    def __exit__(self, *_problem: object) -> None:
        self._http.close()

    def ask(self, step: Step) -> dict[str, Any] | None:
        """The answer, or None where there is nothing to ask about. What is no JSON object counts as one of its own."""
        parameters = step.build(self.known)
        if parameters is None:
            return None
        query: dict[str, Any] = {}
        if step.token:
            query["access_token"] = step.token if isinstance(step.token, str) else self.known.get("token", "")
        if step.method == "GET":
            answer = self._http.get(step.path, params={**query, **parameters})
        else:
            answer = self._http.post(step.path, params=query, json=parameters)
        if answer.status_code != 200:
            return {"errcode": 0, "http_status": answer.status_code}
        try:
            found = answer.json()
        except ValueError:
            return {"errcode": 0, "no_json": True}
        told: dict[str, Any] = found if isinstance(found, dict) else {"errcode": 0, "no_object": True}
        for name, path in step.finds.items():
            self.known[name] = _at(told, path)
        return told


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value
