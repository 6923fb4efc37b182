"""Error pages: what happened, in the user's language, and what to do next."""

from __future__ import annotations

import sys

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from hetang.console.figures import gap
from hetang.operations import listening
from hetang.platform import outages
from hetang.platform.access import Forbidden
from hetang.platform.origin import origin
from hetang.platform.roles import PERMISSIONS

RETRY_S = 5


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        text = _("Whoever runs Hetang names it in HETANG_ALLOWED_HOSTS, or asks by a name that stands there.")
        return _page(request, 400, _("Hetang does not answer to this name"), text)
    return _page(request, 400, _("The request could not be understood"), _("Go back and try it once more."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    what = PERMISSIONS[exception.permission].label if isinstance(exception, Forbidden) else ""
    need = _("It needs the permission “%(what)s”. Ask headquarters for it.") % {"what": what} if what else ""
    return _page(request, 403, _("You may not do this"), need or _("Ask headquarters if you need it."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    if listening.is_public():
        return plain(404, _("There is nothing here"), _("The link is not complete, or it is over."))
    return _page(
        request, 404, _("There is nothing here"), _("It may have moved, or it belongs to a store that you do not see.")
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """What went wrong is an error of ours, or something around us is away: then the page says what, and tries again."""
    away = outages.of(sys.exc_info()[1])
    if away:
        return unavailable(request, away)
    title, advice = _("Something went wrong on our side"), _("It has been logged. Try again; nothing was half-done.")
    try:
        return _page(request, 500, title, advice)
    except Exception:  # the page's own frame needs the database
        return plain(500, title, advice)


def unavailable(request: HttpRequest, away: str) -> HttpResponse:
    """The page for when a server or the disk is away. It asks nobody, and looks again by itself."""
    title, advice = {
        outages.DATABASE: (
            _("The database does not answer"),
            _("It is started again by itself. What was saved is safe."),
        ),
        outages.ENGINE: (
            _("The analysis engine does not answer"),
            _("It is started again by itself. Pages that need no analysis work meanwhile."),
        ),
        outages.DISK: (
            _("The disk is full"),
            _("Nothing can be saved until somebody makes room on the server. What was saved is safe."),
        ),
    }[away]
    reads = request.method in ("GET", "HEAD")
    if not reads:
        advice += gap() + _("What you sent just now may not have been saved: look before you send it again.")
    response = plain(503, title, advice, again_s=RETRY_S if reads else 0)
    response.headers["Retry-After"] = str(RETRY_S)
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    return _page(request, 403, _("The page was too old"), _("Reload it and send the form again."))


def plain(status: int, title: str, advice: str, again_s: int = 0) -> HttpResponse:
    """A page that asks nobody: no database, session, menu or cookie. `again_s`: it reloads itself after so long."""
    values = {"code": str(status), "title": title, "advice": advice, "again_s": again_s}
    if status >= 500:
        values["request_id"] = origin.get().request_id
    return HttpResponse(render_to_string("console/plain_error.html", values), status=status)


def _page(request: HttpRequest, status: int, title: str, advice: str) -> HttpResponse:
    if listening.is_public():
        return plain(status, title, advice)
    values = {"code": status, "title": title, "advice": advice, "request_id": origin.get().request_id}
    return render(request, "console/error.html", values, status=status)
