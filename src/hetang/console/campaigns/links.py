"""Short links, open to everybody: `/l/<code>` leads to the stored address and counts the click."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hetang.touch.links import follow, opened_by_person

COUNTED_PER_MINUTE = 30  # of one address and link; beyond it people still arrive, but are not counted
_ADDRESSES = 10_000
_seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
_lock = threading.Lock()


@login_not_required
@require_safe
@never_cache
def short_link(request: HttpRequest, code: str) -> HttpResponse:
    """Redirect to the stored address, never to anything that the request says. Only what looks like a person
    counts: `touch.links.opened_by_person`."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    person = opened_by_person(request.method or "", request.headers)
    count = person and _within_rate(address, code)
    target = follow(code, count=count, key=request.headers.get("Idempotency-Key", ""))
    if target is None:
        raise Http404
    return HttpResponseRedirect(target)


def _within_rate(address: str, code: str) -> bool:
    """Whether this click may still be counted: a bound against somebody who reloads for ever."""
    now = time.monotonic()
    with _lock:
        began, clicks = _seen.pop((address, code), (now, 0))
        if now - began > 60:
            began, clicks = now, 0
        _seen[address, code] = (began, clicks + 1)
        while len(_seen) > _ADDRESSES:
            _seen.popitem(last=False)
    return clicks < COUNTED_PER_MINUTE
