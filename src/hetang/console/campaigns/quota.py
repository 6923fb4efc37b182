"""How many messages are left (额度): of the platform's cap in its window, and of each cap of the brand today."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET

from hetang.console.campaigns.access import VIEW
from hetang.console.customers.words import CHANNELS
from hetang.platform import clock
from hetang.platform.access import Actor, actor_of, needs, visible_customers
from hetang.touch import queries
from hetang.touch.models import Cap
from hetang.touch.queries import Among
from hetang.touch.rules import CapRule

CHANNEL = "wecom"
_TTL_S = 60.0  # the counts read up to some million rows; everybody's home page shows them
_MOST = 200  # different scopes kept
_lock = threading.Lock()
_kept: dict[Any, tuple[float, Standing]] = {}


@dataclass(frozen=True)
class Rule:
    """One cap and how much of it is left, in people: `rows` are (used, left, people), the fewest used first."""

    cap: CapRule | None  # None: the platform's own
    limit: int
    rows: list[tuple[int, int, int]]

    @property
    def label(self) -> str:
        """What it is called, in the language of whoever looks: what is counted is kept for everybody."""
        return cap_label(self.cap) if self.cap else gettext("WeCom's own cap")

    @property
    def none_left(self) -> int:
        return sum(people for _used, left, people in self.rows if not left)

    @property
    def most(self) -> int:
        """The most people in one row, for the bars."""
        return max((people for _used, _left, people in self.rows), default=0)


@dataclass(frozen=True)
class Standing:
    """What is left at one moment. `people` have an active friend among the staff; `rules` holds for today's messages.

    `first_day` and `last_day` bound the platform's window; None where the platform has no cap.
    """

    at: datetime
    people: int
    rules: list[Rule]
    first_day: date | None
    last_day: date | None


@require_GET
@needs(VIEW)
def quota(request: HttpRequest) -> HttpResponse:
    """What is left, cap by cap."""
    return render(request, "console/campaigns/quota.html", {"standing": standing(actor_of(request))})


@require_GET
@needs(VIEW)
def left(request: HttpRequest) -> HttpResponse:
    """The same in short, fetched after the page that shows it."""
    return render(request, "console/campaigns/quota_left.html", {"standing": standing(actor_of(request))})


def standing(actor: Actor) -> Standing:
    """What is left among the customers whom the actor may see; up to a minute old, counted by one at a time."""
    scope = actor.scope(VIEW)
    key = (scope, clock.today())
    return _within_a_minute(key, lambda: _count(None if scope.everything else _seen_by(actor)))


def forget() -> None:
    """Drop what was counted."""
    _kept.clear()


def cap_label(cap: CapRule) -> str:
    """A cap of the brand as people say it."""
    channel = str(CHANNELS.get(cap.channel, cap.channel)) if cap.channel else gettext("All channels together")
    text = ngettext("%(channel)s: %(n)d in %(days)s days", "%(channel)s: %(n)d in %(days)s days", cap.limit)
    return text % {"channel": channel, "n": cap.limit, "days": cap.days}


def _within_a_minute(key: Any, count: Callable[[], Standing]) -> Standing:
    """What is kept; counted anew after a minute, while others read what was kept before."""
    found = _fresh(key)
    if found is not None:
        return found
    older = _kept.get(key)
    if not _lock.acquire(blocking=older is None) and older is not None:
        return older[1]
    try:
        found = _fresh(key)
        if found is None:
            found = count()
            if len(_kept) > _MOST:
                _kept.clear()
            _kept[key] = (time.monotonic(), found)
        return found
    finally:
        _lock.release()


def _fresh(key: Any) -> Standing | None:
    at, found = _kept.get(key, (0.0, None))
    return found if found is not None and time.monotonic() - at <= _TTL_S else None


def _seen_by(actor: Actor) -> Among:
    sql, params = visible_customers(actor, VIEW).values("number").query.sql_with_params()
    return sql, list(params)


def _count(among: Among) -> Standing:
    now = clock.now()
    people = queries.friends(among)
    platform = queries.quota(CHANNEL, now, among)
    rules = []
    if platform is not None:
        rules.append(Rule(None, platform.limit, _rows(platform.people_by_used, platform.limit, people)))
    for row in Cap.objects.filter(channel__in=["", CHANNEL]).order_by("-channel", "days"):
        cap = CapRule(row.channel, row.limit, row.days)
        used = queries.cap_use(cap, now, among)
        rules.append(Rule(cap, cap.limit, _rows(used, cap.limit, people)))
    first = clock.local_day(platform.start) if platform else None
    last = clock.local_day(platform.end - timedelta(seconds=1)) if platform else None
    return Standing(now, people, rules, first, last)


def _rows(used: dict[int, int], limit: int, people: int) -> list[tuple[int, int, int]]:
    """Rows of (used, left, people); those who have used nothing are the rest of the friends."""
    untouched = max(0, people - sum(used.values()))
    by_used = ({0: untouched} if untouched else {}) | used
    return [(count, max(0, limit - count), by_used[count]) for count in sorted(by_used)]
