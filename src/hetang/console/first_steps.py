"""The first steps of an installation, from nothing to the first broadcast. They tick themselves from what is there;
whoever does not want to see them any more puts them away for herself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from hetang.audiences.models import Audience
from hetang.campaigns.models import Broadcast
from hetang.commerce.models import CustomerMetric
from hetang.console.models import Dismissal
from hetang.console.paging import capped_count
from hetang.customers.models import Customer, Relation
from hetang.platform import clock
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.models import User

FIRST_STEPS = "first-steps"
_MAY = "imports:run"  # whoever brings the data in sets the house up


@dataclass(frozen=True)
class Way:
    """A page on which a step is taken, and who may open it."""

    label: str | Promise
    url_name: str
    permission: str

    @property
    def url(self) -> str:
        """Its address."""
        return reverse(self.url_name)


@dataclass(frozen=True)
class Step:
    """One step: what and why, whether it is done, what shows it, and the ways open to the actor."""

    label: str | Promise
    why: str | Promise
    done: bool
    found: str
    ways: Sequence[Way]


@dataclass(frozen=True)
class Steps:
    """All steps in their order."""

    steps: Sequence[Step]

    @property
    def done(self) -> int:
        """How many are done."""
        return sum(step.done for step in self.steps)

    @property
    def next(self) -> Step | None:
        """The first that is not done."""
        return next((step for step in self.steps if not step.done), None)


def of(actor: Actor) -> Steps | None:
    """The steps while one is open and the actor has not put them away; None for those who do not set up."""
    if not actor.can(_MAY) or _settled(actor):
        return None
    found = Steps([_data(actor), _wecom(actor), _audience(actor), _broadcast(actor)])
    return found if found.next else None


def put_away_by(actor: Actor) -> bool:
    """Whether she put away steps that are still open, so that the help offers them again."""
    return actor.can(_MAY) and _hidden(actor) and not Broadcast.objects.exclude(programme=None).exists()


@require_POST
@needs(_MAY)
def put_away(request: HttpRequest) -> HttpResponse:
    """Hide the steps for oneself. Repeating it is harmless."""
    actor = actor_of(request)
    Dismissal.objects.get_or_create(user_id=actor.user_id, code=FIRST_STEPS, defaults={"at": clock.now()})
    messages.success(request, _("The first steps are put away. Help (?) shows them again."))
    return redirect("console:home")


@require_POST
@needs(_MAY)
def bring_back(request: HttpRequest) -> HttpResponse:
    """Show the steps again."""
    Dismissal.objects.filter(user_id=actor_of(request).user_id or 0, code=FIRST_STEPS).delete()
    return redirect("console:home")


def _settled(actor: Actor) -> bool:
    """Whether she put the steps away or all are done: one query for the many days on which they are."""
    everything = (
        _buyers(),
        _friends(),
        Audience.objects.filter(pond_set=None),
        Broadcast.objects.exclude(programme=None),
    )
    away = Dismissal.objects.filter(user_id=OuterRef("pk"), code=FIRST_STEPS)
    done = Q(*(Exists(rows) for rows in everything))
    return User.objects.filter(Exists(away) | done, pk=actor.user_id or 0).exists()


def _buyers() -> QuerySet[CustomerMetric]:
    return CustomerMetric.objects.filter(orders__gt=0)


def _friends() -> QuerySet[Relation]:
    return Relation.objects.filter(state=Relation.ACTIVE)


def _hidden(actor: Actor) -> bool:
    return Dismissal.objects.filter(user_id=actor.user_id or 0, code=FIRST_STEPS).exists()


def _data(actor: Actor) -> Step:
    done = _buyers().exists()
    return Step(
        gettext_lazy("Bring in customers and orders"),
        gettext_lazy(
            "Import the files of your shop: stores, customers, orders. A check shows what would happen before anything"
            " is written. Or let the shop send records with an API key."
        ),
        done,
        _counted(Customer.objects.all(), lambda n: ngettext("%(n)s customer", "%(n)s customers", n)) if done else "",
        _open_to(
            actor,
            Way(gettext_lazy("Import files"), "imports:new", "imports:run"),
            Way(gettext_lazy("Make an API key"), "settings:keys", "keys:manage"),
        ),
    )


def _wecom(actor: Actor) -> Step:
    done = _friends().exists()
    return Step(
        gettext_lazy("Connect WeCom"),
        gettext_lazy(
            "A message reaches a customer through the friend whom she has among the staff. To try it out first, the"
            " simulated WeCom plays staff and customers."
        ),
        done,
        _counted(_friends(), lambda n: ngettext("%(n)s friendship", "%(n)s friendships", n)) if done else "",
        _open_to(actor, Way(gettext_lazy("Connect WeCom"), "settings:wecom", "settings:edit")),
    )


def _audience(actor: Actor) -> Step:
    newest = Audience.objects.filter(pond_set=None).order_by("-id").values_list("name", flat=True).first()
    return Step(
        gettext_lazy("Describe an audience"),
        gettext_lazy("Whom to write to: a rule over tags, purchases and dates that keeps itself up to date."),
        newest is not None,
        newest or "",
        _open_to(actor, Way(gettext_lazy("New audience"), "audiences:new", "audiences:edit")),
    )


def _broadcast(actor: Actor) -> Step:
    sent = Broadcast.objects.exclude(programme=None).order_by("-id").values_list("name", flat=True).first()
    return Step(
        gettext_lazy("Send a first broadcast"),
        gettext_lazy("With a control group, so that the report can say what it changed."),
        sent is not None,
        sent or "",
        _open_to(actor, Way(gettext_lazy("New broadcast"), "campaigns:new_broadcast", "campaigns:edit")),
    )


def _open_to(actor: Actor, *ways: Way) -> list[Way]:
    return [way for way in ways if actor.can(way.permission)]


def _counted(rows: QuerySet[Any], written: Callable[[int], str]) -> str:
    count = capped_count(rows)
    return written(count.value) % {"n": count}
