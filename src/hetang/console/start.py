"""The start of the day: the first steps of a new installation, what needs somebody, what is under way, what soon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper, F
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from hetang.campaigns.models import Broadcast, Campaign
from hetang.campaigns.queries import visible_broadcasts, visible_campaigns
from hetang.console import figures, first_steps
from hetang.console.approvals import words as approval_words
from hetang.console.customers.review import waiting_for
from hetang.console.operations.status import attention
from hetang.customers.models import Relation
from hetang.insights.reports import reported
from hetang.platform import approvals, clock
from hetang.platform.access import Actor
from hetang.platform.models import JobRun
from hetang.privacy import answering
from hetang.touch.models import TASKED, Programme
from hetang.touch.queries import Progress, progress

_SHOWN = 5


@dataclass(frozen=True)
class Item:
    """Something that needs somebody, said with its number; `tone` is bad where something is broken."""

    text: str
    url: str
    symbol: str = "warning"
    tone: str = "bad"


@dataclass(frozen=True)
class Send:
    """A broadcast under way."""

    broadcast: Broadcast
    progress: Progress
    url: str

    @property
    def waiting(self) -> int:
        """People whose adviser has not confirmed yet."""
        return self.progress.open.get(TASKED, 0)


def of(actor: Actor) -> dict[str, Any]:
    """Template context of the start. Some twenty small queries; two for each broadcast that is under way."""
    sends = _sends(actor)
    return {
        "first_steps": first_steps.of(actor),
        "items": [*needs_somebody(actor), *_broadcasts_that_wait(actor, sends), *_reports_ready(actor), *_pairs(actor)],
        "campaigns": _campaigns_soon(actor),
        "today": clock.today(),
        "long_day": figures.long_day(clock.today()),
        "running_jobs": _running(actor),
        "sends": sends,
        "quota_left": actor.can("campaigns:view") and Relation.objects.filter(state=Relation.ACTIVE).exists(),
    }


def needs_somebody(actor: Actor) -> list[Item]:
    """What waits for this actor's approval or was approved for her; what has stopped, failed or is held, for those
    who see operations."""
    found = approvals_for(actor) + _requests(actor)
    return found + _of_the_system() if actor.can("operations:view") else found


def approvals_for(actor: Actor) -> list[Item]:
    """Questions that she may decide, and answers to her own."""
    found = []
    waiting = approvals.waiting_for(actor)[:100].count()
    if waiting:
        text = ngettext("%(n)d approval waits for you.", "%(n)d approvals wait for you.", waiting) % {"n": waiting}
        found.append(Item(text, reverse("approvals:list"), "check", "warn"))
    for one in approvals.answered_to(actor)[:_SHOWN]:
        text = gettext("“%(title)s” is approved: go on with it.") % {"title": one.title}
        found.append(Item(text, approval_words.shown(one).address, "success", "good"))
    return found


def _requests(actor: Actor) -> list[Item]:
    """What customers asked for and nobody has answered, with the day on which the first is due."""
    waiting = answering.waiting(actor)
    first = waiting.first()
    if first is None:
        return []
    count = waiting[:100].count()
    text = ngettext(
        "%(n)d request of a customer waits, due %(day)s.",
        "%(n)d requests of customers wait, the first due %(day)s.",
        count,
    ) % {"n": count, "day": clock.local_day(first.due_at).isoformat()}
    return [Item(text, f"{_url('privacy:requests')}?state=open")]


def _of_the_system() -> list[Item]:
    counts = attention()
    found = [
        (
            counts["alerts"],
            ngettext("%(n)d alert needs somebody.", "%(n)d alerts need somebody.", counts["alerts"]),
            "operations:alerts",
        ),
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


def _pairs(actor: Actor) -> list[Item]:
    """Customers who may be one person."""
    waiting = waiting_for(actor)
    text = ngettext(
        "%(n)d pair of customers may be one person.", "%(n)d pairs of customers may be one person.", waiting
    )
    return [Item(text % {"n": waiting}, reverse("customers:review"), "merge", "warn")] if waiting else []


def _broadcasts_that_wait(actor: Actor, sends: list[Send]) -> list[Item]:
    """Broadcasts that nobody has sent yet, the newest; and those whose advisers leave people waiting."""
    if not actor.can("campaigns:view"):
        return []
    found = [
        Item(
            ngettext(
                "“%(name)s”: %(n)s person waits for staff to confirm.",
                "“%(name)s”: %(n)s people wait for staff to confirm.",
                send.waiting,
            )
            % {"name": send.broadcast.name, "n": figures.number(send.waiting)},
            send.url,
            "clock",
            "warn",
        )
        for send in sends
        if send.waiting
    ]
    if actor.can("campaigns:edit"):
        drafts = visible_broadcasts(actor.scope("campaigns:edit")).filter(programme=None, created_by=actor.user_id)
        found += [
            Item(_("“%(name)s” is written but not sent.") % {"name": one.name}, _broadcast_url(one), "edit", "info")
            for one in drafts.order_by("-id")[:_SHOWN]
        ]
    return found


def _reports_ready(actor: Actor) -> list[Item]:
    """Broadcasts whose window ended within the last three days."""
    if not actor.can("reports:view"):
        return []
    now = clock.now()
    ends = ExpressionWrapper(F("slot_at") + F("window_days") * timedelta(days=1), output_field=DateTimeField())
    ready = reported(actor.scope("reports:view")).annotate(window_ends=ends)
    ready = ready.filter(window_ends__lte=now, window_ends__gt=now - timedelta(days=3)).order_by("-window_ends")
    return [
        Item(
            _("The report of “%(name)s” is ready.") % {"name": one.name},
            _url("insights:report", one.public_id),
            "report",
            "accent",
        )
        for one in ready[:_SHOWN]
    ]


def _campaigns_soon(actor: Actor) -> list[Campaign]:
    """Open campaigns that run now or begin within a fortnight, the first to end first."""
    if not actor.can("campaigns:view"):
        return []
    today = clock.today()
    seen = visible_campaigns(actor.scope("campaigns:view")).filter(
        state=Campaign.OPEN, ends_on__gte=today, starts_on__lte=today + timedelta(days=14)
    )
    return list(seen.order_by("ends_on", "id")[:_SHOWN])


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
        Send(one, progress(one.programme), _broadcast_url(one))
        for one in seen.order_by("-id")[:_SHOWN]
        if one.programme is not None
    ]


def _broadcast_url(broadcast: Broadcast) -> str:
    return _url("campaigns:broadcast", broadcast.public_id)


def _url(name: str, *arguments: object) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
