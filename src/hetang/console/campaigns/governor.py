"""The governor's settings (防打扰)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from hetang.console.campaigns import words
from hetang.console.days import time_of
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.touch import services
from hetang.touch.errors import TouchError
from hetang.touch.models import Cap, PlatformLimit, QuietHours
from hetang.touch.rules import CapRule

CHANNELS = ("wecom", "")
SPARE_ROWS = 2


@require_http_methods(["GET", "POST"])
@needs("settings:edit")
def settings_page(request: HttpRequest) -> HttpResponse:
    """Caps, the platform's cap and quiet hours."""
    problem = ""
    if request.method == "POST":
        problem = _save(request)
        if not problem:
            messages.success(request, gettext("Saved. It holds for every plan made from now on."))
            return redirect("campaigns:governor")
    hours = QuietHours.objects.filter(id=1).first()
    caps: list[Any] = [(cap.channel, cap.limit, cap.days) for cap in Cap.objects.order_by("-channel", "days")]
    values = {
        "caps": [*caps, *[("wecom", "", "")] * SPARE_ROWS] if not problem else _rows(request.POST),
        "platform": PlatformLimit.objects.filter(channel="wecom").first(),
        "modes": PlatformLimit.MODES,
        "hours": hours,
        "problem": problem,
        "zone": clock.zone().key,
    }
    return render(request, "console/campaigns/governor.html", values, status=422 if problem else 200)


def _rows(post: QueryDict) -> list[tuple[str, str, str]]:
    return list(zip(post.getlist("channel"), post.getlist("limit"), post.getlist("days"), strict=False))


def _save(request: HttpRequest) -> str:
    post = request.POST
    try:
        caps = [
            CapRule(channel if channel in CHANNELS else "wecom", int(limit), int(days))
            for channel, limit, days in _rows(post)
            if limit.strip() or days.strip()
        ]
    except ValueError:
        return gettext("A cap needs two whole numbers: messages and days.")
    mode = post.get("mode", "month")
    number = post.get("platform_limit", "").strip()
    if mode not in dict(PlatformLimit.MODES) or (number and not (number.isdecimal() and 1 <= int(number) <= 100)):
        return gettext("The platform's cap must be a whole number from 1 to 100, or empty.")
    try:
        start, end = time_of(post.get("start", "")), time_of(post.get("end", ""))
    except ValueError:
        return gettext("Enter when quiet hours begin and end, as 22:00.")
    try:
        services.save_governor(
            actor_of(request),
            caps,
            {"wecom": (mode, int(number) if number else None)},
            ("quiet_on" in post, start, end),
        )
    except TouchError as refused:
        return words.sentence(refused)
    return ""
