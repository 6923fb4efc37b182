"""Pages that measure: the board, the reports of broadcasts, and what every number means."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from hetang.console.insights import board_page, report_page
from hetang.console.paging import keyset
from hetang.insights.reports import broadcast_report, reported
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.touch.models import Programme


@require_GET
@needs("board:view")
def board_view(request: HttpRequest) -> HttpResponse:
    """The GMV board of two periods."""
    return render(request, "console/insights/board.html", board_page.board_context(request))


@require_GET
@needs("reports:view")
def reports(request: HttpRequest) -> HttpResponse:
    """Every broadcast that was planned, newest first, and whether its days are over."""
    seen = reported(actor_of(request).scope("reports:view")).select_related("broadcast__campaign")
    page = keyset(seen, ("-slot_at", "-id"), request)
    values = {"page": page, "rows": report_page.listed(page, clock.now())}
    return render(request, "console/insights/reports.html", values)


@require_GET
@needs("reports:view")
def report(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What one broadcast did."""
    scope = actor_of(request).scope("reports:view")
    programme = get_object_or_404(Programme, public_id=public_id)
    if not reported().filter(pk=programme.pk).exists():
        return render(request, "console/insights/report_early.html", {"programme": programme})
    found = broadcast_report(get_object_or_404(reported(scope), pk=programme.pk), scope)
    return render(request, "console/insights/report.html", report_page.report_context(found))


@require_GET
@needs("board:view")
def definitions(request: HttpRequest) -> HttpResponse:
    """What every number means, and how it is counted (口径)."""
    return render(request, "console/insights/definitions.html")
