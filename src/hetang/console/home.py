"""The first page of the day: an operator's, a store manager's or an adviser's."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hetang.console import figures, start
from hetang.console.first_steps import Steps
from hetang.console.homes import adviser, store, which
from hetang.console.insights.board_page import board_context
from hetang.platform import clock
from hetang.platform.access import actor_of, signed_in


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """What needs me, what runs, what failed; then how it goes, once there is anything to count."""
    hers = which.of(actor_of(request))
    kind = {which.STORE: _store, which.ADVISER_HOME: _adviser}.get(hers.kind, _operator)
    template, values = kind(request, hers)
    day = {"today": clock.today(), "long_day": figures.long_day(clock.today())}
    return render(request, template, values | day)


def _operator(request: HttpRequest, _home: which.Home) -> tuple[str, dict[str, Any]]:
    day = start.of(actor_of(request))
    steps: Steps | None = day["first_steps"]
    nothing_yet = steps is not None and not steps.steps[0].done
    board = {} if nothing_yet else board_context(request, brief=True)
    return "console/home.html", board | day


def _store(request: HttpRequest, home: which.Home) -> tuple[str, dict[str, Any]]:
    return "console/homes/store.html", store.of(request, home)


def _adviser(request: HttpRequest, home: which.Home) -> tuple[str, dict[str, Any]]:
    return "console/homes/adviser.html", adviser.of(request, home)
