"""Playing staff and customers of the simulated WeCom, and letting time pass for it and for Hetang together.

Only an installation that was started with a simulator has this page (`HETANG_SIMULATOR_URL`): the clock of one that
speaks to a real corp is never turned.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from hetang.console.simulator.forms import MAX_HOURS, AdvanceForm, BehaviourForm, TasksForm
from hetang.platform import audit, clock
from hetang.platform.access import actor_of, needs
from hetang.platform.environment import secrets_of_home
from hetang.simulator.admin import SimulatorAdmin, SimulatorRefused, SimulatorUnavailable
from hetang.touch.models import Programme

TASKS_SHOWN, TASKS_FETCHED = 20, 500
ORDERS_SHOWN = 12
_THE_MINUTE_AFTER = timedelta(minutes=1)
_View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Task:
    """One member's part of one message, as the page shows it."""

    msgid: str
    userid: str
    name: str
    store: str
    text: str
    attached: str
    made_at: datetime
    people: int
    state: str  # open, ignored, confirmed, cancelled
    at: datetime | None
    sent: int
    not_friend: int
    over_cap: int
    opened: int


@dataclass(frozen=True)
class Purchase:
    """One simulated order."""

    at: datetime
    name: str
    store: str
    net: int
    caused: bool
    posted: bool


def address() -> str:
    """Where this installation's simulator is; empty where there is none."""
    return os.environ.get("HETANG_SIMULATOR_URL", "")


def simulator() -> SimulatorAdmin:
    """The client of this installation's simulator. Raises Http404 where there is none."""
    url = address()
    if not url:
        raise Http404("this installation has no simulator")
    return SimulatorAdmin(url, secrets_of_home().simulator)


def _back_if_away(view: _View) -> _View:
    """A POST that the simulator does not answer goes back to the page, which says so."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except SimulatorUnavailable:
            pass  # the page itself says that the simulator does not answer
        except SimulatorRefused as refused:
            messages.error(request, _("The simulator refused: %(reason)s") % {"reason": refused})
        return redirect("simulator:page")

    return guarded


@needs("simulator:use")
def page(request: HttpRequest) -> HttpResponse:
    """Time, tasks, behaviour and orders of the simulated world."""
    if not address():
        return render(request, "console/simulator/page.html", {"without": True})
    try:
        with simulator() as admin:
            values = _world(admin)
    except SimulatorUnavailable:
        return render(request, "console/simulator/page.html", {"away": True}, status=503)
    if request.GET.get("tasks") != "all":
        values["tasks"] = values["tasks"][:TASKS_SHOWN]
    return render(request, "console/simulator/page.html", values)


@require_GET
@needs("simulator:use")
def play(_request: HttpRequest) -> HttpResponse:
    """To the simulator's own page, where single people are played: scan, add, write, join, leave, confirm.

    Whoever may use this page may do all that, so its key goes along; the simulator takes it into a cookie at once.
    """
    if not address():
        raise Http404("this installation has no simulator")
    return redirect(f"{address().rstrip('/')}/play?{urlencode({'key': secrets_of_home().simulator})}")


@require_POST
@needs("simulator:use")
@_back_if_away
def advance(request: HttpRequest) -> HttpResponse:
    """Let `hours` pass, for Hetang and for the simulated world; with `next`, until the next broadcast begins."""
    form = AdvanceForm(request.POST)
    begins = _next_broadcast() if "next" in request.POST else None
    if begins is not None:
        passed = begins.slot_at - clock.now() + _THE_MINUTE_AFTER
    elif form.is_valid():
        passed = timedelta(hours=form.cleaned_data["hours"])
    else:
        messages.error(request, _("Time can go on by 1 hour to 31 days at once."))
        return redirect("simulator:page")
    with simulator() as admin:
        done = pass_time(admin, passed)
    hours = round(passed / timedelta(hours=1), 1)
    audit.record(actor_of(request), "simulator.advanced", "simulator", "wecom", {"hours": hours})
    messages.success(request, _advanced(done))
    return redirect("simulator:page")


def pass_time(admin: SimulatorAdmin, passed: timedelta) -> dict[str, Any]:
    """Turn both clocks to the same offset, ours first: Hetang refuses orders from its future."""
    theirs = timedelta(seconds=admin.clock()["offset_s"])
    target = max(clock.offset(), theirs) + passed
    clock.turn(target)
    return admin.advance_to(target.total_seconds())


@require_POST
@needs("simulator:use")
@_back_if_away
def confirm(request: HttpRequest) -> HttpResponse:
    """Staff confirm: all open tasks, a share of them, or one."""
    form = TasksForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        with simulator() as admin:
            done = admin.confirm(values["msgid"], values["userid"], (values["share"] or 100) / 100)
        audit.record(
            actor_of(request), "simulator.confirmed", "simulator", "wecom", {**values, "tasks": done["confirmed"]}
        )
        count = done["confirmed"]
        messages.success(
            request, ngettext("%(count)s task confirmed.", "%(count)s tasks confirmed.", count) % {"count": count}
        )
    return redirect("simulator:page")


@require_POST
@needs("simulator:use")
@_back_if_away
def ignore(request: HttpRequest) -> HttpResponse:
    """Staff leave tasks alone."""
    form = TasksForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        with simulator() as admin:
            count = admin.ignore(values["msgid"], values["userid"])["ignored"]
        audit.record(actor_of(request), "simulator.ignored", "simulator", "wecom", {**values, "tasks": count})
        messages.success(
            request, ngettext("%(count)s task ignored.", "%(count)s tasks ignored.", count) % {"count": count}
        )
    return redirect("simulator:page")


@require_POST
@needs("simulator:use")
@_back_if_away
def behaviour(request: HttpRequest) -> HttpResponse:
    """Change how staff and people behave."""
    form = BehaviourForm(request.POST)
    with simulator() as admin:
        if not form.is_valid():
            return render(request, "console/simulator/page.html", {**_world(admin), "behaviour": form}, status=422)
        before = admin.settings()
        changes = form.changes()
        admin.settings(**changes)
    changed = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
    audit.record(actor_of(request), "simulator.changed", "simulator", "wecom", changed)
    messages.success(request, _("Saved."))
    return redirect("simulator:page")


def _next_broadcast() -> Programme | None:
    """The one that is confirmed and begins next, within as much time as may pass at once."""
    now = clock.now()
    soon = Programme.objects.filter(slot_at__gt=now, slot_at__lt=now + timedelta(hours=MAX_HOURS))
    return soon.filter(state__in=(Programme.PLANNING, Programme.RUNNING)).order_by("slot_at").first()


def _world(admin: SimulatorAdmin) -> dict[str, Any]:
    status = admin.status()
    tasks = admin.tasks(TASKS_FETCHED)
    shown = sorted(map(_task, tasks["tasks"]), key=lambda task: task.state != "open")  # those that wait come first
    return {
        "status": status,
        "now": _moment(status["now"]),
        "apart": abs(clock.offset().total_seconds() - status["offset_s"]) > 1,
        "turned_days": status["offset_s"] / 86400,
        "begins": _next_broadcast(),
        "tasks": shown,
        "all_tasks": len(shown),
        "open": tasks["open"],
        "orders": [_purchase(row) for row in admin.orders(ORDERS_SHOWN)],
        "truth": admin.truth(),
        "behaviour": BehaviourForm(initial=BehaviourForm.initial_of(admin.settings())),
    }


def _task(row: dict[str, Any]) -> Task:
    if row["status"] == 2:
        state = "confirmed"
    elif row["cancelled_at"] is not None:
        state = "cancelled"
    else:
        state = "ignored" if row["ignored"] else "open"
    return Task(
        msgid=row["msgid"],
        userid=row["userid"],
        name=row["name"],
        store=row["store"],
        text=row["text"],
        attached=_attached(row["attachments"]),
        made_at=_moment(row["created_at"]),
        people=row["people"],
        state=state,
        at=_moment(row["send_time"]) if row["send_time"] else None,
        sent=row["sent"],
        not_friend=row["not_friend"],
        over_cap=row["over_cap"],
        opened=row["opened"],
    )


def _attached(attachments: list[dict[str, Any]]) -> str:
    """What hangs on a message, as an adviser sees it."""
    pictures = sum(one["msgtype"] == "image" for one in attachments)
    cards = [str(one["link"].get("title", "")) for one in attachments if one["msgtype"] == "link"]
    found = [ngettext("%(count)s picture", "%(count)s pictures", pictures) % {"count": pictures}] if pictures else []
    return " · ".join([*found, *(_("card “%(title)s”") % {"title": title} for title in cards)])


def _purchase(row: dict[str, Any]) -> Purchase:
    return Purchase(
        at=_moment(row["at"]),
        name=row["name"],
        store=row["store"],
        net=row["net"],
        caused=bool(row["caused"]),
        posted=row["posted_at"] is not None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _advanced(done: dict[str, Any]) -> str:
    tasks = ngettext("%(count)s task confirmed", "%(count)s tasks confirmed", done["confirmed"])
    orders = ngettext("%(count)s order placed", "%(count)s orders placed", done["bought"])
    links = ngettext("%(count)s link opened", "%(count)s links opened", done["clicked"])
    return _("Time has passed: %(tasks)s, %(links)s, %(orders)s.") % {
        "links": links % {"count": done["clicked"]},
        "tasks": tasks % {"count": done["confirmed"]},
        "orders": orders % {"count": done["bought"]},
    }
