"""The first page of the day."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hetang.console import start
from hetang.console.first_steps import Steps
from hetang.console.insights.board_page import board_context
from hetang.platform.access import actor_of, signed_in


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """What needs me, what runs, what failed; then the board, once there is anything to count."""
    day = start.of(actor_of(request))
    steps: Steps | None = day["first_steps"]
    nothing_yet = steps is not None and not steps.steps[0].done
    board = {} if nothing_yet else board_context(request, brief=True)
    return render(request, "console/home.html", board | day)
