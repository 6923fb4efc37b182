"""What a held record says to an operator: its kind, its fields and what is wrong with it in her words.

The door's own words (`facts.messages`) name fields as the API does: they are for whoever writes the sending system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from hetang.console.customers.words import IDENTITIES
from hetang.console.figures import moment, money
from hetang.console.operations.status import STREAMS
from hetang.facts.messages import refusal_text

Text = str | Promise

KINDS: dict[str, Text] = {
    "order.placed": pgettext_lazy("record", "Order"),
    "order.refunded": gettext_lazy("Refund"),
    "visit.recorded": gettext_lazy("Visit"),
    "customer.described": gettext_lazy("Customer profile"),
    "customer.identified": gettext_lazy("Identities of one person"),
    "customer.merged": gettext_lazy("Merge of customers"),
    "customer.erased": gettext_lazy("Erasure of a customer"),
    "customer.unmerged": gettext_lazy("Division of a customer"),
    "customer.joined": gettext_lazy("Merge by hand"),
    "customer.kept_apart": gettext_lazy("Decision: not the same person"),
    "customer.decision_lifted": gettext_lazy("Decision taken back"),
    "identity.judged": gettext_lazy("Decision about an identity"),
    "consent.changed": gettext_lazy("Change of a consent"),
    "consent.basis_stated": gettext_lazy("Statement of a legal basis"),
    "do_not_disturb.changed": gettext_lazy("Do-not-disturb of a customer"),
    "relation.changed": gettext_lazy("WeCom friendship"),
    "tag.changed": gettext_lazy("Tag of a customer"),
    "household.member_described": gettext_lazy("Household member of a customer"),
    "household.member_removed": gettext_lazy("Household member removed"),
    "life_stage.changed": gettext_lazy("People whose life stage changed"),
    "tag.kept": gettext_lazy("Tag put on by a rule"),
    "tag.released": gettext_lazy("Tag taken off by a rule"),
    "link.clicked": gettext_lazy("Click on a short link"),
    "click.identified": gettext_lazy("Click of a customer on a short link"),
    "audience.entered": gettext_lazy("People who came into an audience"),
    "audience.left": gettext_lazy("People who left an audience"),
    "touch.sent": gettext_lazy("Message sent"),
    "touch.failed": gettext_lazy("Message not sent"),
}
DOORS: dict[str, Text] = {
    "api": gettext_lazy("API of another system"),
    "file": gettext_lazy("Imported file"),
    "callback": gettext_lazy("WeCom"),
    "internal": gettext_lazy("Hetang itself"),
    "log": gettext_lazy("Taken before, while it was applied"),
}
FIELDS: dict[str, Text] = {
    "kind": gettext_lazy("Kind of record"),
    "key": gettext_lazy("Number of the record"),
    "occurred_at": gettext_lazy("When it happened"),
    "who": gettext_lazy("Whose it is"),
    "name": gettext_lazy("Name"),
    "body": gettext_lazy("Content"),
    "net": gettext_lazy("Net amount"),
    "discount": gettext_lazy("Discount"),
    "lines": gettext_lazy("Items of the order"),
    "lines.sku": gettext_lazy("Article number of an item"),
    "lines.amount": gettext_lazy("Amount of an item"),
    "lines.quantity": gettext_lazy("Quantity of an item"),
    "lines.category": gettext_lazy("Category of an item"),
    "lines.discount": gettext_lazy("Discount of an item"),
    "order": gettext_lazy("Order number"),
    "amount": gettext_lazy("Amount refunded"),
    "store": gettext_lazy("Store"),
    "home_store": gettext_lazy("Home store"),
    "channel": gettext_lazy("Channel"),
    "staff": pgettext_lazy("of a record", "Member of staff"),
    "owner": pgettext_lazy("of a record", "Member of staff who serves her"),
    "attributes": gettext_lazy("Attributes"),
    "places": gettext_lazy("Positions"),
    "latitude": gettext_lazy("Latitude"),
    "longitude": gettext_lazy("Longitude"),
    "datum": gettext_lazy("Coordinate system"),
    "purpose": gettext_lazy("Purpose"),
    "given": gettext_lazy("Agreed or withdrawn"),
    "given_at": gettext_lazy("When it was agreed to"),
    "basis": gettext_lazy("Legal basis"),
    "text_version": gettext_lazy("Version of the text"),
    "on": gettext_lazy("On or off"),
    "until": gettext_lazy("Until"),
    "state": gettext_lazy("State"),
    "since": gettext_lazy("Since"),
    "add_way": gettext_lazy("How she was added"),
    "channel_state": gettext_lazy("Mark of the code she scanned"),
    "tag": gettext_lazy("Tag"),
    "expires_at": gettext_lazy("Ends on"),
    "link": gettext_lazy("Short link"),
    "programme": gettext_lazy("Broadcast"),
    "simulated": gettext_lazy("Simulated"),
    "member": pgettext_lazy("record", "Member of the household"),
    "born_on": pgettext_lazy("record", "Date of birth"),
    "sex": pgettext_lazy("record", "Sex"),
    "by": gettext_lazy("Decided by"),
    "reason": gettext_lazy("Reason"),
}
MONEY = frozenset({"net", "discount", "amount"})
TIMES = frozenset({"occurred_at", "since", "until", "expires_at", "given_at"})
_TYPES: dict[str, Text] = {
    "int": gettext_lazy("a whole number"),
    "float": gettext_lazy("a number"),
    "str": gettext_lazy("a text"),
    "bool": gettext_lazy("yes or no"),
    "array": gettext_lazy("a list"),
    "object": gettext_lazy("a group of fields"),
    "null": gettext_lazy("empty"),
    "datetime": gettext_lazy("a time with date and zone"),
}
# What the reader of records (msgspec) says, and how to say it. The first that fits counts.
_FAULTS: list[tuple[re.Pattern[str], Callable[[str, re.Match[str]], str]]] = [
    (
        re.compile(r"missing required field `([^`]+)`"),
        lambda path, m: _("“%(field)s” is missing.") % {"field": field(_below(path, m[1]))},
    ),
    (
        re.compile(r"unknown field `([^`]+)`"),
        lambda _path, m: _("It has a field “%(field)s”, which records of this kind do not have.") % {"field": m[1]},
    ),
    (
        re.compile(r"^Expected `([a-z |]+)`, got `([a-z]+)`"),
        lambda path, m: (
            _("“%(field)s” must be %(expected)s; what came is %(got)s.")
            % {"field": field(path), "expected": _one_of(m[1]), "got": _TYPES.get(m[2], m[2])}
        ),
    ),
    (re.compile(r"of length >= 1$"), lambda path, _m: _("“%(field)s” is empty.") % {"field": field(path)}),
    (
        re.compile(r"(?:array|object)` of length >= (\d+)"),
        lambda path, m: _("“%(field)s” needs at least %(limit)s entries.") % {"field": field(path), "limit": m[1]},
    ),
    (
        re.compile(r"(?:array|object)` of length <= (\d+)"),
        lambda path, m: _("“%(field)s” has more than %(limit)s entries.") % {"field": field(path), "limit": m[1]},
    ),
    (
        re.compile(r"of length <= (\d+)"),
        lambda path, m: _("“%(field)s” is longer than %(limit)s characters.") % {"field": field(path), "limit": m[1]},
    ),
    (
        re.compile(r"^Expected `(?:int|float)` [<>]"),
        lambda path, _m: _("“%(field)s” is too small or too large.") % {"field": field(path)},
    ),
    (
        re.compile(r"datetime|RFC3339"),
        lambda path, _m: (
            _("“%(field)s” is no time with date and zone, like 2026-11-11T09:00:00+08:00.") % {"field": field(path)}
        ),
    ),
    (
        re.compile(r"enum value|matching regex"),
        lambda path, _m: (
            _("“%(field)s” has a value that is not allowed there, or not of the right form.") % {"field": field(path)}
        ),
    ),
    (re.compile(r"JSON|UTF-8|malformed"), lambda _path, _m: _("The record is damaged and cannot be read.")),
]


def kind_label(kind: str) -> Text:
    """What a record is called: “Order”; its name as it came if there is no such kind."""
    return KINDS.get(kind) or kind or _("Unreadable record")


def stage_label(stage: str) -> Text:
    """Where it was stopped."""
    return _("On its way in, before it was taken") if stage == "validate" else STREAMS.get(stage, stage)


def field(path: str) -> Text:
    """An operator's word for a field that the API calls `path` (`lines[0].amount`, `body.net`)."""
    parts = re.sub(r"\[[^\]]*\]", "", path).removeprefix("$").removeprefix(".").removeprefix("body.")
    return FIELDS.get(parts) or FIELDS.get(parts.rsplit(".", 1)[-1]) or parts or _("The record")


def why(code: str, detail: Mapping[str, Any]) -> str:
    """Why it is held, for the operator: one or two sentences without names of fields or codes."""
    own = _WHY.get(code)
    if own is None:
        return refusal_text(code, detail)
    try:
        return own(detail)
    except KeyError:
        return refusal_text(code, detail)


def in_general(code: str) -> str:
    """The reason of many records together, where each has details of its own; empty if `why` says it well."""
    general = {
        "bad_body": _("A field is missing, unknown or not of the right form."),
        "bad_fact": _("A field is missing, unknown or not of the right form."),
        "bad_identity": _("An identity of the customer is empty, too long or not of the right form."),
        "net_is_not_sum_of_lines": _("The order's net amount is not the sum of its items."),
    }
    return general.get(code, "")


def value(name: str, said: Any) -> Text:
    """A value as an operator reads it: amounts in the brand's currency, times in its zone, lists by their length."""
    if isinstance(said, bool):
        return _("Yes") if said else _("No")
    if said is None or said in ("", [], {}):
        return "–"
    if isinstance(said, list | dict):
        return ngettext("%(n)d entry", "%(n)d entries", len(said)) % {"n": len(said)}
    if isinstance(said, int) and name in MONEY:
        return money(said)
    at = parse_datetime(said) if isinstance(said, str) and name in TIMES else None
    return moment(at) if at is not None and at.tzinfo is not None else str(said)


def advice(code: str) -> str:
    """What to do about it, where the reason itself does not say so."""
    if code in {"unknown_store", "unknown_staff", "unknown_tag", "kept_tag", "attribute_type", "objected", "erased"}:
        return ""
    if code in {"handler_failed", "history_refused"}:
        return _("Replay it. If it is held again, give the technical details below to whoever runs this installation.")
    return _(
        "Have it corrected in the system that sends it, and sent again. What is held here can then be dismissed; the"
        " technical details below are for whoever runs that system."
    )


def _fault(detail: Mapping[str, Any]) -> str:
    path, problem = str(detail["path"]), str(detail["problem"])
    for pattern, say in _FAULTS:
        match = pattern.search(problem)
        if match:
            return say(path, match)
    return _("“%(field)s” is not as it must be.") % {"field": field(path)}


def _below(path: str, name: str) -> str:
    return name if path in {"$", ""} else f"{path}.{name}"


def _one_of(types: str) -> str:
    known = [str(_TYPES.get(one.strip(), one.strip())) for one in types.split("|")]
    return _(" or ").join(dict.fromkeys(known))


def _identity(detail: Mapping[str, Any]) -> dict[str, Text]:
    return {"kind": IDENTITIES.get(detail["kind"], detail["kind"])}


_WHY: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "bad_body": _fault,
    "bad_fact": _fault,
    "unknown_kind": lambda d: _("It came as “%(kind)s”, which is no kind of record that is known here.") % d,
    "bad_key": lambda d: _("Its number is empty or has more than %(limit)s characters.") % d,
    "unknown_identity_kind": lambda d: _("It names the customer by “%(kind)s”, by which nobody is known here.") % d,
    "bad_identity": lambda d: (
        _("The customer's “%(kind)s” is empty, too long or not of the right form.") % _identity(d)
    ),
    "too_many_identities": lambda d: _("It names the customer in more than %(limit)s ways.") % d,
    "nobody_named": lambda _d: _("It does not say whose it is: every record of this kind belongs to a customer."),
    "somebody_named": lambda _d: _("It names a customer, but records of this kind are about nobody."),
    "net_is_not_sum_of_lines": lambda d: (
        _("The order's net amount is %(net)s, but its items add up to %(sum)s.")
        % {"net": _amount(d["net"]), "sum": _amount(d["sum"])}
    ),
    "channel_must_be_any": lambda _d: _(
        "A guardian's consent and an objection to personal choice hold for every channel, but one channel was named."
    ),
    "members_missing": lambda _d: _("It does not say which people it is about."),
    "members_unexpected": lambda _d: _("It carries a list of people, but records of this kind are about one person."),
    "no_external_userid": lambda _d: _("It does not say which WeCom customer the friendship is with."),
    "handler_failed": lambda _d: _("Something unexpected went wrong while it was applied."),
    "history_refused": lambda _d: _("The history for analysis did not take it."),
}


def _amount(value: Any) -> str:
    return money(int(value)) if str(value).lstrip("-").isdigit() else str(value)
