"""`/healthz`, `/readyz` and `/metrics`, for machines that watch over this one.

`/healthz` says that the process lives, `/readyz` whether it can do its work and what keeps it from it, `/metrics` is
for Prometheus. Details and metrics are told to those only whom `HETANG_METRICS_FROM` names.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import cast

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from hetang.facts import queries
from hetang.operations import listening, measures
from hetang.platform import clickhouse, metric_files, metrics, proxies, registry_values, upgrade

log = logging.getLogger(__name__)

READY, IMPAIRED, DOWN = "ready", "impaired", "down"


@dataclass(frozen=True)
class Problem:
    """What keeps a part from working. `code` is for machines, `detail` for people; neither holds a secret."""

    part: str
    code: str
    detail: str
    fatal: bool


def healthz(_request: HttpRequest) -> HttpResponse:
    """The process lives. Asks nobody."""
    return _plain("ok\n")


def readyz(request: HttpRequest) -> HttpResponse:
    """503 when pages cannot be served (database, migrations); 200 `impaired` when only engine or streams are wrong,
    because facts are taken and pages are served all the same."""
    found = problems()
    state = DOWN if any(one.fatal for one in found) else IMPAIRED if found else READY
    status = 503 if state == DOWN else 200
    if not may_read(request):
        return _plain(f"{state}\n", status)
    body = json.dumps({"state": state, "problems": [asdict(one) for one in found]}, ensure_ascii=False, indent=1)
    return _answer(body + "\n", status, "application/json")


def metrics_page(request: HttpRequest) -> HttpResponse:
    """What Prometheus reads; a 404 for everybody whom `HETANG_METRICS_FROM` does not name."""
    if not may_read(request):
        return _plain("not found\n", 404)
    found = [*metric_files.everything(), *measures.families()]
    return _answer(metrics.text(found), 200, "text/plain; version=0.0.4; charset=utf-8")


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics_page,
}


def may_read(request: HttpRequest) -> bool:
    """Whether the caller is one of those whom `HETANG_METRICS_FROM` names, not on the public listener, and not somebody
    behind a proxy that we do not know."""
    if listening.is_public() or listening.came_by_unknown_proxy(request):
        return False
    allowed = proxies.networks(cast("list[str]", registry_values.from_environment("web.metrics_from")))
    return proxies.is_within(str(request.META.get("REMOTE_ADDR", "")), allowed)


def problems() -> list[Problem]:
    """What is wrong now, the fatal first."""
    found = [*_database(), *_engine()]
    if not any(one.fatal for one in found):
        found += _streams()
    return sorted(found, key=lambda one: not one.fatal)


def _database() -> Iterator[Problem]:
    try:
        missing, newer = upgrade.known_state()
    except DatabaseError as problem:
        log.warning("not ready: %s", problem)
        yield Problem("database", "unreachable", "PostgreSQL does not answer", fatal=True)
        return
    if missing:
        yield Problem("migrations", "pending", f"{missing} migrations are pending: run `hetang upgrade`", fatal=True)
    if newer:
        yield Problem("migrations", "newer", "the data were written by a newer Hetang", fatal=True)


def _engine() -> Iterator[Problem]:
    if not clickhouse.available():
        yield Problem("engine", "unreachable", "the engine (ClickHouse) does not answer", fatal=False)


def _streams() -> Iterator[Problem]:
    for name in queries.stopped():
        yield Problem("streams", "stopped", f"the stream {name} stopped at a fact that it cannot apply", fatal=False)


def _plain(text: str, status: int = 200) -> HttpResponse:
    return _answer(text, status, "text/plain; charset=utf-8")


def _answer(body: str, status: int, content_type: str) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=content_type, headers={"Cache-Control": "no-store"})
