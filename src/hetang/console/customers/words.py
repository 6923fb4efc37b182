"""What customers' pages call things: identities, legal bases, kinds of history."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.connectors.wecom.models import TagDirection

DIRECTIONS: dict[str, str | Promise] = {
    "": _("Not chosen"),
    TagDirection.INWARD: _("From WeCom"),
    TagDirection.OUTWARD: _("To WeCom"),
    TagDirection.BOTH: _("Both ways"),
    TagDirection.NEITHER: _("Not with WeCom"),
}
IDENTITIES: dict[str, str | Promise] = {
    "member": _("Member number"),
    "card": _("Card"),
    "phone": _("Phone"),
    "email": _("E-mail"),
    "unionid": _("WeChat unionid"),
    "openid": _("WeChat openid"),
    "external_userid": _("WeCom customer id"),
}
BASES: dict[str, str | Promise] = {
    "consent": pgettext_lazy("legal basis", "Consent"),
    "contract": _("Performance of a contract"),
    "legal_duty": _("Legal duty"),
    "public_interest": _("Public interest"),
    "unknown": _("Not known"),
}
STATED = {code: label for code, label in BASES.items() if code != "unknown"}
PURPOSES: dict[str, str | Promise] = {
    "marketing": _("Marketing messages"),
    "service": _("Service messages"),
    "transaction": _("Messages about orders"),
}
GUARDIAN: str | Promise = _("Marketing, by her guardian")
CHANNELS: dict[str, str | Promise] = {"wecom": _("WeCom"), "sms": _("SMS"), "email": _("E-mail")}
RELATION_TONES = {"active": "good", "half": "warn", "lost_by_customer": "bad", "lost_by_staff": "bad"}

MEMBER_KINDS: dict[str, str | Promise] = {
    "child": pgettext_lazy("household", "Child"),
    "partner": pgettext_lazy("household", "Partner"),
    "parent": pgettext_lazy("household", "Parent"),
    "pet": pgettext_lazy("household", "Pet"),
    "other": pgettext_lazy("household", "Somebody else"),
}
SEXES: dict[str, str | Promise] = {
    "female": pgettext_lazy("household", "female"),
    "male": pgettext_lazy("household", "male"),
}

# Filters of the timeline: label, kinds, symbol.
HISTORY: dict[str, tuple[str | Promise, tuple[str, ...], str]] = {
    "orders": (_("Purchases"), ("order.placed", "order.refunded"), "cart"),
    "visits": (_("Visits and clicks"), ("visit.recorded", "click.identified"), "visit"),
    "messages": (_("Messages"), ("touch.sent",), "send"),
    "groups": (_("Group chats"), ("group.joined", "group.left"), "chat"),
    "contact": (
        _("Friends and consent"),
        (
            *("relation.changed", "do_not_disturb.changed"),
            *("consent.changed", "consent.basis_stated"),
        ),
        "shield",
    ),
    "profile": (
        _("Profile and tags"),
        (
            *("customer.described", "customer.identified", "tag.changed"),
            *("customer.joined", "customer.kept_apart", "customer.decision_lifted"),
            *("household.member_described", "household.member_removed"),
        ),
        "person",
    ),
}
SYMBOLS = {
    "order.placed": "cart",
    "order.refunded": "refund",
    "visit.recorded": "visit",
    "link.clicked": "link",
    "click.identified": "link",
    "relation.changed": "heart",
    "group.joined": "chat",
    "group.left": "chat",
    "consent.changed": "shield",
    "consent.basis_stated": "shield",
    "do_not_disturb.changed": "bell-off",
    "tag.changed": "tag",
    "customer.described": "person",
    "customer.joined": "merge",
    "customer.kept_apart": "merge",
    "customer.decision_lifted": "merge",
    "customer.identified": "merge",
    "household.member_described": "person",
    "household.member_removed": "person",
    "audience.entered": "audience",
    "audience.left": "audience",
    "touch.sent": "send",
    "touch.failed": "send",
}

# Where a customer stands, and its tone (`hetang.commerce.rules.stage`).
STAGES: dict[str, tuple[str | Promise, str]] = {
    "prospect": (pgettext_lazy("stage", "Not yet bought"), ""),
    "new": (pgettext_lazy("stage", "New"), "info"),
    "active": (pgettext_lazy("stage", "Active"), "good"),
    "slowing": (pgettext_lazy("stage", "Slowing down"), "warn"),
    "lapsed": (pgettext_lazy("stage", "Lapsed"), "bad"),
}
