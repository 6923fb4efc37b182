"""The start of the day: the first steps of a new installation, what needs somebody, what is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from hetang.audiences.models import Audience
from hetang.campaigns.models import Broadcast
from hetang.campaigns.queries import visible_broadcasts
from hetang.console.operations.status import attention
from hetang.customers.models import Customer, Relation
from hetang.platform.access import Actor
from hetang.platform.models import JobRun
from hetang.touch.models import Programme
from hetang.touch.queries import Progress, progress

_SHOWN = 5


@dataclass(frozen=True)
class Step:
    """One of the first steps; `url` is empty where the actor cannot take it herself."""

    label: str | Promise
    why: str | Promise
    url: str
    done: bool


@dataclass(frozen=True)
class Item:
    """Something that needs somebody, said with its number."""

    text: str
    url: str


@dataclass(frozen=True)
class Send:
    """A broadcast under way."""

    broadcast: Broadcast
    progress: Progress
    url: str


def of(actor: Actor) -> dict[str, Any]:
    """Template context of the start. Half a dozen small queries."""
    first = first_steps(actor)
    return {
        "first_steps": first if any(not step.done for step in first) else [],
        "items": needs_somebody(actor),
        "running_jobs": _running(actor),
        "sends": _sends(actor),
    }


def first_steps(actor: Actor) -> list[Step]:
    """From an empty installation to the first broadcast; empty for those who cannot import."""
    if not actor.can("imports:run"):
        return []
    return [
        Step(
            _("Bring in customers and orders"),
            _("Import files of the shop, or let the shop send records with an API key."),
            _url("imports:list"),
            Customer.objects.exists(),
        ),
        Step(
            _("Bring in the friends in WeCom"),
            _("A message reaches a customer through the friend whom she has among the staff."),
            "",  # friends come by the connector, not by a page
            Relation.objects.filter(state=Relation.ACTIVE).exists(),
        ),
        Step(
            _("Describe an audience"),
            _("Whom to write to: a rule over tags, purchases and dates that keeps itself up to date."),
            _url("audiences:list"),
            Audience.objects.exists(),
        ),
        Step(
            _("Send a first broadcast"),
            _("With a control group, so that the report can say what it changed."),
            _url("campaigns:list"),
            Broadcast.objects.exclude(programme=None).exists(),
        ),
    ]


def needs_somebody(actor: Actor) -> list[Item]:
    """What has stopped, failed or is held; for those who see operations."""
    if not actor.can("operations:view"):
        return []
    counts = attention()
    found = [
        (
            counts["stopped"],
            ngettext("%(n)d data stream has stopped.", "%(n)d data streams have stopped.", counts["stopped"]),
            "operations:status",
        ),
        (
            counts["held"],
            ngettext("%(n)d record is held back.", "%(n)d records are held back.", counts["held"]),
            "operations:held",
        ),
        (
            counts["failed_jobs"],
            ngettext("%(n)d job failed since yesterday.", "%(n)d jobs failed since yesterday.", counts["failed_jobs"]),
            "operations:jobs",
        ),
    ]
    return [Item(text % {"n": count}, reverse(name)) for count, text, name in found if count]


def _running(actor: Actor) -> list[JobRun]:
    runs = JobRun.objects.filter(state__in=(JobRun.WAITING, JobRun.RUNNING)).order_by("-id")
    if not actor.can("operations:view"):
        runs = runs.filter(created_by=actor.user_id)
    return list(runs[:_SHOWN])


def _sends(actor: Actor) -> list[Send]:
    if not actor.can("campaigns:view"):
        return []
    under_way = (Programme.RUNNING, Programme.PAUSED, Programme.PLANNING, Programme.CANCELLING)
    seen = visible_broadcasts(actor.scope("campaigns:view")).filter(programme__state__in=under_way)
    return [
        Send(one, progress(one.programme), _url("campaigns:broadcast", one.public_id))
        for one in seen.order_by("-id")[:_SHOWN]
        if one.programme is not None
    ]


def _url(name: str, *arguments: object) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
