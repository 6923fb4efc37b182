"""An adviser's start of the day: her tasks, her customers, nothing of anybody else."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from hetang.console import start
from hetang.console.homes import tasks, watched
from hetang.console.homes.which import Home, charge_of
from hetang.customers.models import Relation
from hetang.platform import audit
from hetang.platform.access import actor_of

_LISTS = (watched.NEW_FRIENDS, watched.BOUGHT, watched.LATE)


def of(request: HttpRequest, home: Home) -> dict[str, Any]:
    """Template context. Some fifteen small queries, whatever there is."""
    actor = actor_of(request)
    charge = charge_of(actor, home)
    found = watched.look(_LISTS, charge) if home.staff else []
    shown = sum(len(one.lines) for one in found)
    if shown:
        audit.look(actor, "look.list", "customer", "", {"shown": shown, "page": "home"})
    friends = Relation.objects.filter(staff=home.staff, state=Relation.ACTIVE).count() if home.staff else 0
    return {
        "home": home,
        "tasks": tasks.of(actor, home.staff),
        "items": start.waiting(actor),
        "running_jobs": start.running_jobs(actor),
        "watched": found,
        "friends": friends,
        "has_people": bool(friends or shown),
    }
