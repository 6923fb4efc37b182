"""What surrounds every request of the console: default deny, the brand's zone, expired sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from hetang.platform import clock, sessions
from hetang.platform.access import declared

PUBLIC_PREFIXES = ("/api/",)  # the API answers for itself: every call needs a key with a scope


class ConsoleMiddleware:
    """Refuses views that declare no permission; sets the zone around the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(clock.zone()):
            response = self.get_response(request)
            _note_use(request)
            _keep_nowhere(request, response)
            return _towards_login(request, response)

    def process_view(self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any) -> None:
        if not declared(view) and not request.path.startswith(PUBLIC_PREFIXES):
            raise PermissionDenied(f"{request.path}: the view declares no permission")
        if _holds_nul(request):
            raise BadRequest("a parameter holds NUL")


def _holds_nul(request: HttpRequest) -> bool:
    """Whether a parameter holds a NUL, which no keyboard writes and no database takes."""
    given = [request.GET]
    if request.method == "POST" and not request.path.startswith(PUBLIC_PREFIXES):
        given.append(request.POST)
    return any("\x00" in text for values in given for _name, texts in values.lists() for text in texts)


def _keep_nowhere(request: HttpRequest, response: HttpResponseBase) -> None:
    """What depends on who asks stays out of every cache: after the log-out, "back" must show nobody's name."""
    if request.session.accessed and not response.has_header("Cache-Control"):
        response["Cache-Control"] = "private, no-store"


def _note_use(request: HttpRequest) -> None:
    """Somebody is there. A fragment that a page fetches by itself (htmx, GET) does not count: a page that is left open
    must not keep its session alive."""
    polled = request.method == "GET" and request.headers.get("HX-Request") == "true"
    if request.session.accessed and not polled:
        sessions.note_use(request.session)


def _towards_login(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A fragment of an expired session must not draw the login page inside the page: the browser goes there whole."""
    htmx = request.headers.get("HX-Request") == "true"
    if not htmx or not isinstance(response, HttpResponseRedirect):
        return response
    login = reverse(settings.LOGIN_URL)
    if not response.url.startswith(login):
        return response
    return HttpResponse(status=204, headers={"HX-Redirect": login})
