"""The search of the frame: a fragment as one types, and a whole page for those without scripts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from hetang.console.search.sources import LONG, MOST, SHORT, search
from hetang.platform.access import actor_of, signed_in


@require_GET
@signed_in
@vary_on_headers("HX-Request")
def search_page(request: HttpRequest) -> HttpResponse:
    """What fits `q`, grouped, within what the actor may see. Never kept by a cache: it may name customers."""
    text = request.GET.get("q", "").strip()[:MOST]
    typing = request.headers.get("HX-Request") == "true"
    groups = search(actor_of(request), text, SHORT if typing else LONG)
    template = "console/search/results.html" if typing else "console/search/page.html"
    answer = render(request, template, {"text": text, "groups": groups, "most": LONG, "typing": typing})
    answer["Cache-Control"] = "no-store"
    return answer
