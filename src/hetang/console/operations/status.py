"""The state of the system on one page: streams, jobs, held records, stores and loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db import connection
from django.db.models import QuerySet, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.operations.alerts import unattended
from hetang.console.operations.jobs import STATES as JOB_STATES
from hetang.facts import queries, services
from hetang.facts.models import HeldFact, SubscriptionCursor
from hetang.platform import audit, clickhouse, clock, environment
from hetang.platform.access import actor_of, needs
from hetang.platform.models import JobRun, Lease

STREAMS: dict[str, str | Promise] = {
    "customers": gettext_lazy("People: identities, profile, tags, consent"),
    "commerce": gettext_lazy("Orders and what they add up to"),
    "history": gettext_lazy("History for analysis"),
    "clicks": gettext_lazy("Clicks of customers on short links"),
    "wecom_tags": gettext_lazy("Tags on their way to WeCom"),
}


@dataclass(frozen=True)
class LoopState:
    """A loop of the worker: who runs it and whether its lease is alive."""

    name: str
    holder: str
    expires_at: datetime
    alive: bool


@require_GET
@needs("operations:view")
def status(request: HttpRequest) -> HttpResponse:
    """What runs, what lags, what has stopped; refreshes itself."""
    lags = queries.lags()
    values = {
        "streams": [(lag, STREAMS.get(lag.name, lag.name)) for lag in lags],
        "slowest_s": max((lag.seconds for lag in lags), default=0.0),
        "stopped": [lag for lag in lags if lag.failed_at],
        "held": queries.open_held(),
        "running": _with_state(JobRun.objects.filter(state__in=(JobRun.WAITING, JobRun.RUNNING))[:10]),
        "failed_jobs": JobRun.objects.filter(state=JobRun.FAILED)[:100].count(),
        "database_bytes": _database_bytes(),
        "engine": clickhouse.available(),
        "loops": _loops(),
        "home": environment.home(),
        "offset": clock.offset(),
        "now": clock.now(),
    }
    name = "status_body" if request.headers.get("HX-Request") == "true" else "status"
    return render(request, f"console/operations/{name}.html", values)


@require_POST
@needs("facts:replay")
def pass_one(request: HttpRequest, name: str) -> HttpResponse:
    """Let a stopped stream pass the one fact it cannot apply; that fact is held."""
    if not SubscriptionCursor.objects.filter(name=name).exists():
        raise Http404
    if services.set_aside_next(name):
        audit.record(actor_of(request), "stream.passed_one", "stream", name)
        messages.success(request, _("The record is held now and the stream goes on."))
    else:
        messages.info(request, _("The stream is not stopped any more."))
    return redirect("operations:status")


def attention() -> dict[str, int]:
    """What of the system needs somebody: alerts that nobody is on, open held records, stopped streams, jobs that failed
    since yesterday. Counted up to 1,000 each, in one query."""
    since = clock.now() - timedelta(days=1)
    waiting: dict[str, QuerySet[Any]] = {
        "alerts": unattended(),
        "held": HeldFact.objects.filter(state=HeldFact.OPEN),
        "stopped": SubscriptionCursor.objects.exclude(failed_at=None),
        "failed_jobs": JobRun.objects.filter(state=JobRun.FAILED, finished_at__gte=since),
    }
    parts = [rows.annotate(what=Value(name)).values_list("what", flat=True)[:1000] for name, rows in waiting.items()]
    counts = Counter(parts[0].union(*parts[1:], all=True))
    return {name: counts[name] for name in waiting}


def _with_state(runs: QuerySet[JobRun]) -> list[JobRun]:
    found: list[Any] = list(runs)
    for run in found:
        run.state_label, run.state_tone = JOB_STATES[run.state]
    return found


def _database_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _loops() -> list[LoopState]:
    rows = Lease.objects.order_by("name")
    with connection.cursor() as cursor:  # leases live by the database's clock: they are about processes, not people
        cursor.execute("select now()")
        now = cursor.fetchone()[0]
    return [LoopState(row.name, row.holder, row.expires_at, row.expires_at > now) for row in rows]
