"""A store manager's start of the day: what needs her, whose tasks are open, how the store does, whom to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from hetang.campaigns.models import Broadcast
from hetang.campaigns.queries import visible_broadcasts
from hetang.campaigns.services import REMIND
from hetang.console import start
from hetang.console.homes import tasks, watched
from hetang.console.homes.which import Home, charge_of
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of
from hetang.touch.confirming import Confirmation, confirmations
from hetang.touch.models import Programme

_UNDER_WAY = (Programme.RUNNING, Programme.PAUSED, Programme.PLANNING, Programme.CANCELLING)
_SENDS = 5
_ADVISERS = 8  # of a broadcast at once; the rest are on its page
_LISTS = (watched.NEW_FRIENDS, watched.LATE, watched.BOUGHT)


@dataclass(frozen=True)
class Sending:
    """A broadcast whose tasks her staff have. `advisers`: who has most people waiting first."""

    broadcast: Broadcast
    url: str
    advisers: Sequence[Confirmation]

    @property
    def tasks(self) -> int:
        return sum(one.tasks for one in self.advisers)

    @property
    def confirmed(self) -> int:
        return sum(one.confirmed for one in self.advisers)

    @property
    def people_waiting(self) -> int:
        return sum(one.people_waiting for one in self.advisers)

    @property
    def remindable(self) -> int:
        """Tasks that may be reminded of now: the platform allows three reminders in 24 hours."""
        return sum(one.remindable for one in self.advisers)

    @property
    def shown(self) -> Sequence[Confirmation]:
        return self.advisers[:_ADVISERS]

    @property
    def more(self) -> int:
        return max(0, len(self.advisers) - _ADVISERS)


def of(request: HttpRequest, home: Home) -> dict[str, Any]:
    """Template context. Some twenty-five small queries, whatever there is; the board is fetched after the page."""
    actor = actor_of(request)
    charge = charge_of(actor, home)
    found = watched.look(_LISTS, charge)
    shown = sum(len(one.lines) for one in found)
    if shown:
        audit.look(actor, "look.list", "customer", "", {"shown": shown, "page": "home"})
    mine = tasks.of(actor, home.staff)
    return {
        "home": home,
        "items": [*tasks.items(mine), *start.waiting(actor)],
        "sendings": sendings(actor),
        "may_remind": actor.can(REMIND),
        "running_jobs": start.running_jobs(actor),
        "campaigns": start.campaigns_soon(actor),
        "watched": found,
        "has_staff": bool(charge.staff),
    }


def sendings(actor: Actor) -> list[Sending]:
    """Broadcasts under way whose tasks lie in her scope, the newest; those that wait for somebody first."""
    if not actor.can("campaigns:view"):
        return []
    scope = actor.own_scope("campaigns:view")
    under_way = visible_broadcasts(actor.scope("campaigns:view")).filter(programme__state__in=_UNDER_WAY)
    found = [one for one in under_way.order_by("-id")[: _SENDS * 4] if one.programme_id]
    by_programme: dict[int, list[Confirmation]] = {}
    for line in confirmations([one.programme_id for one in found if one.programme_id], scope, clock.now()):
        by_programme.setdefault(line.programme, []).append(line)
    rows = [
        Sending(one, start.broadcast_url(one), by_programme[one.programme_id])
        for one in found
        if one.programme_id in by_programme
    ]
    return sorted(rows, key=lambda row: row.people_waiting == 0)[:_SENDS]
