"""The fields of conditions on the first source."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hetang.audiences.first_source import ANY, FILTERS, FRIENDSHIP, GROUP_CHAT, ORDER
from hetang.audiences.first_source_sentences import BY_NAMES
from hetang.audiences.rules import Catalogue
from hetang.console.audiences.field import Field

NEW: dict[str, Any] = {"type": "first_source", "by": FRIENDSHIP, "days": 30}
WORDS = {  # by which each way is found, in both languages
    FRIENDSHIP: "活码 渠道码 渠道 扫码 来源 live code qr code channel source acquisition",
    GROUP_CHAT: "群活码 入群 渠道 来源 channel source join",
    ORDER: "首单 门店 渠道 来源 first order channel source store",
}


def new(about: str) -> dict[str, Any]:
    """A condition on a way to come, or (`campaign`) on the codes of a campaign."""
    return {**NEW, "by": ANY, "campaigns": []} if about == "campaign" else {**NEW, "by": about}


def note(leaf: dict[str, Any], known: Catalogue) -> str:
    """What to know of a condition on campaigns: that no code belongs to any of them."""
    campaigns = leaf.get("campaigns")
    if leaf.get("type") not in {"first_source", "friendship"} or not campaigns or not isinstance(campaigns, list):
        return ""
    if any(one.campaign in campaigns for one in known.codes.values()):
        return ""
    return _(
        "No channel code belongs to these campaigns yet, so nobody is found. Codes get their campaign under Campaigns."
    )


def ways() -> list[tuple[str, str]]:
    """The ways in which somebody may first have come: (code, label)."""
    place = 0 if (get_language() or "").startswith("zh") else 1
    return [(by, BY_NAMES[by][place]) for by in FILTERS]


def first_source(leaf: dict[str, Any]) -> list[Field]:
    """How she came, when, and by what."""
    by = str(leaf.get("by")) if leaf.get("by") in FILTERS else ANY
    found = [
        Field("by", _("First came"), "select", by, ways(), shape=True),
        Field("days", _("In the last days"), "number", leaf.get("days"), optional=True, blank=_("ever")),
    ]
    offered = {
        "campaigns": (_("By codes of these campaigns"), "campaigns"),
        "channel_states": (
            _("Channel state of the code"),
            "joining_codes" if by == GROUP_CHAT else "channel_states",
        ),
        "ways": (_("Added by"), "ways"),
        "staff": (_("Sold by") if by == ORDER else _("Added whom"), "staff"),
        "groups": (_("Of these groups"), "groups"),
        "channels": (_("Channel"), "order_channels"),
        "sources": (_("System of the order"), "order_sources"),
        "stores": (_("Of these stores"), "stores"),
    }
    for key in FILTERS[by]:
        label, source = offered[key]
        found.append(Field(key, label, "pick", leaf.get(key, []), source=source, many=True, optional=True))
    return found
