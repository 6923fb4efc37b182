"""Through which door a request came, and who stands there.

`TrustMiddleware` goes first: it puts the real caller into the request, believing trusted proxies only. `GateMiddleware`
refuses on the public listener whatever is not meant for customers and other systems. `DirectMiddleware` takes the short
way to what signs its calls.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve

from hetang.platform import proxies, registry_values

log = logging.getLogger(__name__)

PUBLIC = "public"
UNKNOWN_PROXY = "hetang.unknown_proxy"
_FOR, _PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
_FORWARDED = (_FOR, _PROTO, "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_told: set[str] = set()

# An answer to a machine is no page, even if somebody opens it in a browser.
_NO_PAGE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Next = Callable[[HttpRequest], HttpResponseBase]


class TrustMiddleware:
    """Sets `REMOTE_ADDR` and the scheme to those of the real caller; the headers are gone afterwards."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        told = {name: request.META.pop(name, "") for name in _FORWARDED}
        peer = str(request.META.get("REMOTE_ADDR", ""))
        secure = request.META.get("wsgi.url_scheme") == "https"
        found = proxies.caller(peer, told[_FOR], told[_PROTO], secure, trusted_proxies())
        claimed = any(told.values()) and not proxies.is_within(peer, trusted_proxies())
        request.META["REMOTE_ADDR"] = found.address
        request.META["wsgi.url_scheme"] = "https" if found.secure else "http"
        request.META[UNKNOWN_PROXY] = claimed
        if claimed:
            _tell(peer)
        return self.get_response(request)


class GateMiddleware:
    """On the public listener only what `HETANG_PUBLIC_PARTS` names exists."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self._open = public_prefixes() if is_public() else None

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self._open is not None and not request.path.startswith(self._open):
            return HttpResponse("not found\n", status=404, content_type="text/plain; charset=utf-8")
        return self.get_response(request)


class DirectMiddleware:
    """Calls of machines that prove themselves by a signature are answered here: they need no session and no language,
    which would take more than half of the time."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(settings.DIRECT_PATHS):
            return self.get_response(request)
        try:
            request.resolver_match = match = resolve(request.path_info)
            answer = cast("HttpResponseBase", match.func(request, *match.args, **match.kwargs))
        except Http404:
            answer = HttpResponse("not found\n", status=404, content_type="text/plain; charset=utf-8")
        for name, value in _NO_PAGE.items():
            answer[name] = value
        if isinstance(answer, HttpResponse):
            answer["Content-Length"] = str(len(answer.content))  # else the server sends it in pieces
        return answer


def is_public() -> bool:
    """Whether this process serves the public listener alone."""
    return os.environ.get("HETANG_LISTENER", "") == PUBLIC


def came_by_unknown_proxy(request: HttpRequest) -> bool:
    """Whether a proxy that nobody named stands between us and the caller."""
    return bool(request.META.get(UNKNOWN_PROXY))


@cache
def trusted_proxies() -> list[proxies.Network]:
    """The proxies that `HETANG_TRUSTED_PROXIES` names."""
    return proxies.networks(cast("list[str]", registry_values.from_environment("web.trusted_proxies")))


def public_prefixes() -> tuple[str, ...]:
    """Beginnings of the addresses that the public listener serves."""
    parts: Iterable[str] = cast("list[str]", registry_values.from_environment("web.public_parts"))
    return tuple(prefix for part in parts for prefix in settings.PUBLIC_PATHS[part])


def _tell(peer: str) -> None:
    """Once for each such neighbour and process: the sign of a proxy that was forgotten in the settings."""
    if peer in _told or len(_told) > 100:
        return
    _told.add(peer)
    log.warning("requests of %s say that they were forwarded; name it in HETANG_TRUSTED_PROXIES if it is a proxy", peer)
