"""What hangs on the home of a store: all customers of one of its lists, its board."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hetang.console.homes import calibrated, watched, which
from hetang.console.insights.board_page import board_context
from hetang.console.paging import capped_count, keyset
from hetang.platform import audit
from hetang.platform.access import actor_of, needs


@require_GET
@needs("board:view")
def board(request: HttpRequest) -> HttpResponse:
    """The factors of the last 28 days in the actor's scope: a part of the home, since it takes longer than the rest."""
    return render(request, "console/homes/board.html", board_context(request, brief=True))


@require_GET
@needs("customers:view")
def look_at(request: HttpRequest, code: str) -> HttpResponse:
    """Customers to look at: those of the home's list, page by page. An adviser's are her own."""
    watch = watched.WATCHES.get(code)
    if watch is None:
        raise Http404
    actor = actor_of(request)
    charge = which.charge_of(actor, which.of(actor))
    rows = watch.rows(charge)
    page = keyset(rows, watch.order, request)
    if page:
        audit.look(actor, "look.list", "customer", "", {"shown": len(page), "page": watch.code})
    values = {
        "watch": watch,
        "page": page,
        "lines": watched.lines_of(watch, page.rows, charge),
        "count": capped_count(rows),
        "calibration": calibrated.shown() if watch is watched.LATE else None,
        "others": [{"url": one.url, "label": one.label, "current": one is watch} for one in watched.WATCHES.values()],
    }
    return render(request, "console/homes/look_at.html", values)
