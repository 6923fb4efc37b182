"""The start of the day: the first steps of a new installation, what needs somebody, what is under way, what soon.

The homes of a store (`hetang.console.homes`) take their part of it: `waiting`, `running_jobs`, `campaigns_soon`."""

from __future__ import annotations

from collections import defaultdict
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
from hetang.console.operations.titles import job_title
from hetang.customers.models import Relation
from hetang.insights.reports import reported
from hetang.platform import approvals, clock
from hetang.platform.access import Actor
from hetang.platform.models import JobRun
from hetang.privacy import answering
from hetang.touch.confirming import Confirmation, confirmations
from hetang.touch.models import TASKED, Programme
from hetang.touch.queries import progress

_SHOWN = 5
_REMEMBERED = timedelta(days=3)  # what is over is told so long


@dataclass(frozen=True)
class Item:
    """Something that needs somebody, said with its number; `tone` is bad where something is broken."""

    text: str
    url: str
    symbol: str = "warning"
    tone: str = "bad"


@dataclass(frozen=True)
class Send:
    """A broadcast under way, in people: who should get it, who has it, and whose adviser has not confirmed yet.

    Of one that lies above the actor's part of the organisation only that part counts.
    """

    broadcast: Broadcast
    to_send: int
    sent: int
    waiting: int
    url: str


def of(actor: Actor) -> dict[str, Any]:
    """Template context of the start. Some twenty small queries; two for each broadcast that is under way."""
    sends = _sends(actor)
    return {
        "first_steps": first_steps.of(actor),
        "items": [*needs_somebody(actor), *_unconfirmed(sends), *_of_the_rooms(actor)],
        "campaigns": campaigns_soon(actor),
        "running_jobs": running_jobs(actor),
        "sends": sends,
        "quota_left": actor.can("campaigns:view") and Relation.objects.filter(state=Relation.ACTIVE).exists(),
    }


def waiting(actor: Actor) -> list[Item]:
    """Everything that waits for this actor, but for confirmations of staff."""
    return [*needs_somebody(actor), *_of_the_rooms(actor)]


def needs_somebody(actor: Actor) -> list[Item]:
    """What waits for this actor's approval or was approved for her; what has stopped, failed or is held, for those
    who see operations, and of her own work for everybody else."""
    found = approvals_for(actor) + _requests(actor)
    return found + (_of_the_system() if actor.can("operations:view") else _failed_of(actor))


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


def _failed_of(actor: Actor) -> list[Item]:
    """Her own imports, exports and changes to many that failed within three days, the newest first."""
    failed = JobRun.objects.filter(
        state=JobRun.FAILED, created_by=actor.user_id, finished_at__gt=clock.now() - _REMEMBERED
    )
    return [
        Item(gettext("“%(title)s” failed.") % {"title": job_title(run)}, _url("operations:job", run.public_id), "error")
        for run in failed.order_by("-id")[:_SHOWN]
    ]


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


def _of_the_rooms(actor: Actor) -> list[Item]:
    return [*_drafts(actor), *_reports_ready(actor), *_pairs(actor)]


def _unconfirmed(sends: list[Send]) -> list[Item]:
    """Broadcasts whose advisers leave people waiting."""
    return [
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


def _drafts(actor: Actor) -> list[Item]:
    """Broadcasts that she wrote and nobody has sent yet, the newest first."""
    if not actor.can("campaigns:edit") or not actor.can("campaigns:view"):
        return []
    drafts = visible_broadcasts(actor.scope("campaigns:edit")).filter(programme=None, created_by=actor.user_id)
    return [
        Item(_("“%(name)s” is written but not sent.") % {"name": one.name}, broadcast_url(one), "edit", "info")
        for one in drafts.order_by("-id")[:_SHOWN]
    ]


def _reports_ready(actor: Actor) -> list[Item]:
    """Broadcasts whose window ended within the last three days."""
    if not actor.can("reports:view"):
        return []
    now = clock.now()
    ends = ExpressionWrapper(F("slot_at") + F("window_days") * timedelta(days=1), output_field=DateTimeField())
    ready = reported(actor.scope("reports:view")).annotate(window_ends=ends)
    ready = ready.filter(window_ends__lte=now, window_ends__gt=now - _REMEMBERED).order_by("-window_ends")
    return [
        Item(
            _("The report of “%(name)s” is ready.") % {"name": one.name},
            _url("insights:report", one.public_id),
            "report",
            "accent",
        )
        for one in ready[:_SHOWN]
    ]


def campaigns_soon(actor: Actor) -> list[Campaign]:
    """Open campaigns that run now or begin within a fortnight, the first to end first."""
    if not actor.can("campaigns:view"):
        return []
    today = clock.today()
    seen = visible_campaigns(actor.scope("campaigns:view")).filter(
        state=Campaign.OPEN, ends_on__gte=today, starts_on__lte=today + timedelta(days=14)
    )
    return list(seen.order_by("ends_on", "id")[:_SHOWN])


def running_jobs(actor: Actor) -> list[JobRun]:
    """Work that goes on: everybody's for those who see operations, else her own."""
    runs = JobRun.objects.filter(state__in=(JobRun.WAITING, JobRun.RUNNING)).order_by("-id")
    if not actor.can("operations:view"):
        runs = runs.filter(created_by=actor.user_id)
    return list(runs[:_SHOWN])


def _sends(actor: Actor) -> list[Send]:
    if not actor.can("campaigns:view"):
        return []
    under_way = (Programme.RUNNING, Programme.PAUSED, Programme.PLANNING, Programme.CANCELLING)
    scope = actor.scope("campaigns:view")
    seen = list(visible_broadcasts(scope).filter(programme__state__in=under_way).order_by("-id")[:_SHOWN])
    above = [one for one in seen if not scope.covers(one.campaign.org_node.path)]
    parts = _parts(actor, above)
    return [parts[one.pk] if one in above else _whole(one) for one in seen if one not in above or one.pk in parts]


def _whole(one: Broadcast) -> Send:
    assert one.programme is not None  # noqa: S101 - the caller chose by its state
    now = progress(one.programme)
    return Send(one, now.to_send, now.sent, now.open.get(TASKED, 0), broadcast_url(one))


def _parts(actor: Actor, broadcasts: list[Broadcast]) -> dict[int, Send]:
    """Of broadcasts that lie above her: what her part of the organisation has of them, by broadcast. One query."""
    by_programme = {one.programme_id: one for one in broadcasts if one.programme_id}
    sums: dict[int, list[Confirmation]] = defaultdict(list)
    for line in confirmations(list(by_programme), actor.own_scope("campaigns:view"), clock.now()):
        sums[line.programme].append(line)
    return {
        by_programme[programme].pk: Send(
            by_programme[programme],
            sum(line.people for line in lines),
            sum(line.sent for line in lines),
            sum(line.people_waiting for line in lines),
            broadcast_url(by_programme[programme]),
        )
        for programme, lines in sums.items()
    }


def broadcast_url(broadcast: Broadcast) -> str:
    """Its page, whatever state it is in."""
    return _url("campaigns:broadcast", broadcast.public_id)


def _url(name: str, *arguments: object) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
