"""The help page: the guide, with its sections on one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hetang.console import first_steps
from hetang.console.help import guide
from hetang.platform.access import actor_of, signed_in


@require_GET
@signed_in
def help_page(request: HttpRequest) -> HttpResponse:
    """From the login to the report, and where to look when something is off."""
    put_away = first_steps.put_away_by(actor_of(request))
    return render(request, "console/help/page.html", {"sections": guide.sections(), "steps_put_away": put_away})
