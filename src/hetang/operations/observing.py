"""The outermost middleware: what every request is called in the logs, how long it took, and the three probes.

The probes are answered here, before anything asks the database: `/healthz` must live when the database does not.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from hetang.operations import probes
from hetang.platform import metric_files
from hetang.platform.logs import REQUESTS
from hetang.platform.metrics import Counter, Histogram
from hetang.platform.origin import Origin, origin, user_id

log = logging.getLogger(REQUESTS)

HEADER = "X-Request-ID"
COUNTED = Counter("hetang_http_requests_total", "Requests answered.", ("route", "method", "status"))
TOOK = Histogram("hetang_http_request_seconds", "Time until a request was answered.", ("route",))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ObservingMiddleware:
    """Gives each request an id, answers probes, counts and times the rest, and writes one line about it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        metric_files.begin()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = str(uuid.uuid4())
        token = origin.set(Origin(request_id, request.META.get("REMOTE_ADDR") or None))
        who = user_id.set(None)
        try:
            probe = probes.PROBES.get(request.path)
            if probe is not None:
                return probe(request)
            began = time.perf_counter()
            response = self.get_response(request)
            _note(request, response, time.perf_counter() - began)
            response.headers[HEADER] = request_id
            return response
        finally:
            user_id.reset(who)
            origin.reset(token)


def _note(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Count and write down: the name of the route, never the address, which may be anything."""
    if request.path.startswith(settings.STATIC_URL):
        return
    matched = request.resolver_match
    route = (matched.view_name or matched.route) if matched else "none"
    method = request.method if request.method in _METHODS else "other"
    COUNTED.add(route, str(method), str(response.status_code))
    TOOK.observe(seconds, route)
    user_id.set(getattr(getattr(request, "_cached_user", None), "pk", None))
    line = {"method": method, "route": route, "status": response.status_code, "ms": round(seconds * 1000, 1)}
    log.info("request", extra=line)
