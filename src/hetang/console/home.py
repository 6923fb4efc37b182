"""The first page of the day."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hetang.platform.access import signed_in


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """What needs me, what runs, what failed."""
    return render(request, "console/home.html")
