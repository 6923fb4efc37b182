"""Pond sets to start from: made with their audiences in one go, and like any other from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.audiences import ponds, services
from hetang.audiences.errors import NameTaken
from hetang.audiences.models import Audience, PondSet
from hetang.audiences.ponds import Wanted
from hetang.audiences.rules import LATENESS, VERSION
from hetang.audiences.standing_rules import SEGMENTS
from hetang.audiences.standing_sentences import SEGMENT_NAMES
from hetang.commerce.rhythm import LATE
from hetang.console.audiences.building import home_node
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.models import OrgNode

Rule = dict[str, Any]
Named = TypeVar("Named", Audience, PondSet)
_ANY_ORDER: Rule = {"type": "metric", "metric": "orders", "op": ">=", "value": 1}
_HALF_WAY = 50  # in percent of times she has bought by then


@dataclass(frozen=True)
class Start:
    """A pond set to be: its code, what it is called and for, its ponds in their order, who is left for the rest."""

    code: str
    name: str | Promise
    purpose: str | Promise
    ponds: tuple[tuple[str | Promise, Rule], ...]

    @property
    def names(self) -> list[str]:
        """Those of the ponds."""
        return [str(name) for name, _rule in self.ponds]


def _last_order(days: int, of: str = "last_order") -> Rule:
    return {"type": "date", "of": of, "op": "within_last", "days": days}


def _late(op: str, percent: int) -> Rule:
    return {"type": "metric", "metric": LATENESS, "op": op, "value": percent}


def starts() -> list[Start]:
    """All of them, in the current language."""
    place = 0 if (get_language() or "").startswith("zh") else 1
    segments = [(SEGMENT_NAMES[one][place], {"type": "rfm", "segments": [one], "days": 365}) for one in SEGMENTS]
    return [
        Start(
            "last-order",
            pgettext_lazy("pond set", "By the last order"),
            gettext_lazy("First order within 30 days, last one within 60 or 180, or longer ago; the rest never bought"),
            (
                (pgettext_lazy("pond", "New customers"), _last_order(30, "first_order")),
                (pgettext_lazy("pond", "Active"), _last_order(60)),
                (pgettext_lazy("pond", "Slowing down"), _last_order(180)),
                (pgettext_lazy("pond", "Lost"), _ANY_ORDER),
            ),
        ),
        Start(
            "rhythm",
            pgettext_lazy("pond set", "By her own rhythm"),
            gettext_lazy("Who is due or late for the gaps between her own orders; the rest bought on one day at most"),
            (
                (pgettext_lazy("pond", "In her rhythm"), _late("<", _HALF_WAY)),
                (pgettext_lazy("pond", "Due again"), _late("<", LATE)),
                (pgettext_lazy("pond", "Late"), {"all": [_late(">=", LATE), _last_order(365)]}),
                (pgettext_lazy("pond", "Long gone"), _late(">=", LATE)),
            ),
        ),
        Start(
            "rfm",
            pgettext_lazy("pond set", "By RFM segment"),
            gettext_lazy("The eight segments by when, how often and for how much she bought; the rest never did"),
            tuple(segments),
        ),
    ]


@require_POST
@needs("audiences:edit")
def start(request: HttpRequest) -> HttpResponse:
    """Make a pond set and its audiences."""
    actor = actor_of(request)
    chosen = next((one for one in starts() if one.code == request.POST.get("start")), None)
    if chosen is None:
        raise BadRequest(request.POST.get("start", ""))
    try:
        saved = make(actor, chosen, home_node(actor))
    except NameTaken:
        messages.error(request, _("Somebody made something of the same name in this moment. Try again."))
        return redirect("ponds:new")
    messages.success(request, _("Saved, with its audiences. Where everybody is, is kept once a day from now on."))
    return redirect("ponds:detail", saved.public_id)


def make(actor: Actor, chosen: Start, org_node: OrgNode) -> PondSet:
    """The pond set with its audiences, all or nothing; audiences and a set that are there just so are taken as they
    are. Raises like `services.save` and `ponds.save`; NameTaken only if somebody else is doing the same."""
    with transaction.atomic():
        made = [_audience(actor, f"{chosen.name}·{name}", rule, org_node) for name, rule in chosen.ponds]
        ids = [one.pk for one in made]
        name, there = _free(
            str(chosen.name),
            PondSet.objects.filter(org_node=org_node, archived_at=None),
            lambda found: [one.audience_id for one in ponds.ponds_of(found)] == ids,
        )
        if there is not None:
            return there
        pairs = zip(chosen.names, made, strict=True)
        wanted = [Wanted(pond, str(audience.public_id)) for pond, audience in pairs]
        return ponds.save(actor, name=name, ponds=wanted, org_node=org_node)


def _audience(actor: Actor, name: str, rule: Rule, org_node: OrgNode) -> Audience:
    document = {"version": VERSION, "rule": rule if "all" in rule else {"all": [rule]}}
    of_here = Audience.objects.filter(org_node=org_node, archived_at=None, pond_set=None)
    free, there = _free(name, of_here, lambda found: found.rule == document)
    return there or services.save(actor, name=free, rule=document, org_node=org_node)


def _free(name: str, among: QuerySet[Named], is_such: Callable[[Named], bool]) -> tuple[str, Named | None]:
    """The first of the names “name”, “name 2”, … that nobody has or one of them just so, and that one."""
    free, number = name, 1
    while True:
        there = among.filter(name=free).first()
        if there is None or is_such(there):
            return free, there
        number += 1
        free = f"{name} {number}"
