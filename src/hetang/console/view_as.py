"""The middleware by which somebody looks at the console through another's eyes: whose rights, how long, and no writes.

Three things keep a look from changing anything: only GET gets through, PostgreSQL takes no write on the connection
meanwhile, and what is left of rights is what both have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import InternalError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from hetang.console.figures import gap
from hetang.platform import view_as
from hetang.platform.access import act_as, actor_for
from hetang.platform.models import User
from hetang.platform.view_as import Look

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = ("console:logout", "console:language", "console:appearance", "settings:view-as-end")  # of the viewer herself


class ViewAsMiddleware:
    """Stands innermost, so that sessions and messages are written outside of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        look = view_as.of(request.session) if isinstance(user, User) else None
        if look is None or request.path in {reverse(name) for name in _OWN}:
            return self.get_response(request)
        viewer = actor_for(user)  # type: ignore[arg-type]
        seen = None if look.over else view_as.seen_as(viewer, look)
        if seen is None:
            return _ended(request, viewer.name, look)
        if request.method not in _SAFE:
            return _refused(request, _("You are looking as somebody else, so nothing can be changed."))
        act_as(request, seen)
        request.viewing = look  # type: ignore[attr-defined]
        with view_as.reading_only():
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, problem: Exception) -> Any:
        """A page that changes something by being opened cannot be shown."""
        refused = isinstance(problem, InternalError) and getattr(problem.__cause__, "sqlstate", "") == view_as.READ_ONLY
        if not refused or not hasattr(request, "viewing"):
            return None
        return _refused(request, _("Opening this page changes something, so it cannot be shown while you look."))


def _ended(request: HttpRequest, viewer: str, look: Look) -> HttpResponseBase:
    view_as.end(viewer, request.session, "time" if look.over else "rights")
    messages.info(
        request, _("You are yourself again: the time for looking as %(name)s is over.") % {"name": look.label}
    )
    return redirect("console:home")


def _refused(request: HttpRequest, why: str) -> HttpResponseBase:
    advice = why + gap() + _("End it in the bar above, then do it.")
    values = {"code": 403, "title": _("Only looking"), "advice": advice}
    return render(request, "console/error.html", values, status=403)
