"""The first page of the day."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hetang.console import start
from hetang.console.insights.board_page import board_context
from hetang.platform.access import actor_of, signed_in


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """What needs me, what runs, what failed."""
    return render(request, "console/home.html", board_context(request) | {"brief": True} | start.of(actor_of(request)))
