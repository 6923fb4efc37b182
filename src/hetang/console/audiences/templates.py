"""Rules that operators start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.audiences.rules import ANNIVERSARY, LATENESS, Catalogue, position_of
from hetang.commerce.rhythm import LATE
from hetang.console.audiences.behaviour_fields import VISITED_THEN_BOUGHT
from hetang.console.audiences.standing_fields import AT_RISK, TOP_SPENDERS

Rule = dict[str, Any]


@dataclass(frozen=True)
class Start:
    """A ready-made rule: its code in the address, what it is for, its parts."""

    code: str
    name: str | Promise
    purpose: str | Promise
    rule: Rule


_QUIET = {"type": "behaviour", "event": "received", "op": "at_most", "value": 0, "days": 7}
_UNDISTURBED = {"not": {"any": [{"type": "do_not_disturb", "on": True}]}}

STARTS: tuple[Start, ...] = (
    Start(
        "lapsed",
        _("Lapsed regulars"),
        _("Bought often within a year, nothing for 60 days, not written to this week"),
        {
            "all": [
                {"type": "metric", "metric": "orders_365", "op": ">=", "value": 4},
                {"type": "date", "of": "last_order", "op": "more_than_ago", "days": 60},
                _QUIET,
                _UNDISTURBED,
            ]
        },
    ),
    Start(
        "late",
        _("Late for her own rhythm"),
        _("Would have bought again by now nine in ten times, bought within a year, not written to this week"),
        {
            "all": [
                {"type": "metric", "metric": LATENESS, "op": ">=", "value": LATE},
                {"type": "date", "of": "last_order", "op": "within_last", "days": 365},
                _QUIET,
                _UNDISTURBED,
            ]
        },
    ),
    Start(
        "top-spenders",
        _("Top 10% by spend"),
        _("Spent more in 90 days than nine in ten who bought in them, not on do-not-disturb"),
        {"all": [TOP_SPENDERS, _UNDISTURBED]},
    ),
    Start(
        "at-risk",
        _("Best customers at risk"),
        _("RFM: bought often and much within a year, but not lately; not written to this week"),
        {"all": [AT_RISK, _QUIET, _UNDISTURBED]},
    ),
    Start(
        "category",
        _("Buyers of a category"),
        _("Bought a category at least twice in 90 days"),
        {
            "all": [
                {
                    "type": "behaviour",
                    "event": "bought",
                    "op": "at_least",
                    "value": 2,
                    "days": 90,
                },
            ]
        },
    ),
    Start(
        "new-friends",
        _("New friends without a first order"),
        _("WeCom friends who have never bought"),
        {
            "all": [
                {"type": "relation", "number": 1, "staff": []},
                {"type": "metric", "metric": "orders", "op": "=", "value": 0},
                _UNDISTURBED,
            ]
        },
    ),
    Start(
        "visited",
        _("Came and did not buy"),
        _("Visited within 30 days and bought nothing for three days after it"),
        {"all": [VISITED_THEN_BOUGHT, _UNDISTURBED]},
    ),
    Start(
        "reachable",
        _("Reachable by WeCom"),
        _("Friend of an adviser, agreed to marketing, not on do-not-disturb"),
        {
            "all": [
                {"type": "relation", "number": 1, "staff": []},
                {"type": "consent", "purpose": "marketing", "channel": "wecom", "given": True},
                _UNDISTURBED,
            ]
        },
    ),
)


def offered(known: Catalogue) -> list[Start]:
    """The templates for this brand: that of birthdays only where an attribute says them."""
    found = list(STARTS)
    if known.places and (position := position_of(known)):
        first = next((code for code in known.places if code in known.stores), "")
        near = {"type": "place", "of": position, "op": "within", "km": 3, "stores": [first]}
        silent = {"type": "date", "of": "last_order", "op": "more_than_ago", "days": 30}
        purpose = _("Within 3 km of stores that you choose, nothing for 30 days")
        found.append(Start("near", _("Near a store and silent"), purpose, {"all": [near, silent, _UNDISTURBED]}))
    birthday = next((code for code, one in known.attributes.items() if one.birth_date and one.type == "date"), "")
    if not birthday:
        return found
    soon = {"type": "date", "of": f"attribute:{birthday}", "op": ANNIVERSARY, "days": 7}
    name, purpose = _("Birthday next week"), _("A birthday within seven days, not on do-not-disturb")
    return [*found, Start("birthday", name, purpose, {"all": [soon, _UNDISTURBED]})]


def start(code: str, known: Catalogue) -> Rule | None:
    """The rule of a template."""
    return next((dict(one.rule) for one in offered(known) if one.code == code), None)
