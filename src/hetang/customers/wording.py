"""A customer's timeline in words: the templates of the fact kinds, filled in the current language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language, ngettext, pgettext, pgettext_lazy

from hetang.facts.kinds import KINDS

Money = Callable[[int | None], str]

# Short words mean different things in different places: the context “timeline” keeps them apart.
_STATES = {
    "active": pgettext_lazy("timeline", "friends"),
    "half": pgettext_lazy("timeline", "not yet accepted"),
    "lost_by_customer": pgettext_lazy("timeline", "removed by the customer"),
    "lost_by_staff": pgettext_lazy("timeline", "removed by the adviser"),
}
_PURPOSES = {
    "marketing": pgettext_lazy("timeline", "marketing messages"),
    "service": pgettext_lazy("timeline", "service messages"),
    "transaction": pgettext_lazy("timeline", "messages about orders"),
    "guardian": pgettext_lazy("timeline", "marketing, by a guardian"),
    "personalisation": pgettext_lazy("timeline", "personalised messages"),
}
_BASES = {
    "consent": pgettext_lazy("timeline", "consent"),
    "contract": pgettext_lazy("timeline", "performance of a contract"),
    "legal_duty": pgettext_lazy("timeline", "legal duty"),
    "public_interest": pgettext_lazy("timeline", "public interest"),
    "unknown": pgettext_lazy("timeline", "not known"),
}
_GIVEN = {"True": pgettext_lazy("timeline", "given"), "False": pgettext_lazy("timeline", "withdrawn")}
_SWITCHED = {"True": pgettext_lazy("timeline", "on"), "False": pgettext_lazy("timeline", "off")}
_TAGGED = {"True": pgettext_lazy("timeline", "put on"), "False": pgettext_lazy("timeline", "taken off")}
_CHANNELS = {
    "wecom": pgettext_lazy("timeline", "WeCom"),
    "sms": pgettext_lazy("timeline", "SMS"),
    "email": pgettext_lazy("timeline", "e-mail"),
    "store": pgettext_lazy("timeline", "store"),
    "mini_program": pgettext_lazy("timeline", "mini-program"),
    "h5": pgettext_lazy("timeline", "web page"),
    "any": pgettext_lazy("timeline", "all channels"),
}


def message(kind: str, body: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], money: Money) -> str:
    """One line for a fact. `names` has `stores`, `staff` and `tags`: code -> name; unknown codes show as they are."""
    known = KINDS.get(kind)
    if known is None:
        return kind
    chinese = (get_language() or "zh-hans").lower().startswith("zh")
    template = known.message_zh if chinese else known.message_en
    return template.format_map(_Fields(body, _words(kind, body, names, money)))


def channel_word(channel: str) -> str:
    """What a channel is called; its code if it has no name."""
    return _word(_CHANNELS, channel)


def relation_word(state: str) -> str:
    """What the state of a friendship is called."""
    return _word(_STATES, state)


def purpose_word(purpose: str) -> str:
    """What the purpose of a consent is called."""
    return _word(_PURPOSES, purpose)


class _Fields(dict[str, Any]):
    """Body fields under their words; a field that a body leaves out is an empty text."""

    def __init__(self, body: Mapping[str, Any], words: Mapping[str, str]) -> None:
        super().__init__({**body, **words})

    def __missing__(self, key: str) -> str:
        return ""


def _words(kind: str, body: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], money: Money) -> dict[str, str]:
    store, lines = body.get("store"), len(body.get("lines", ()))
    words = {
        "store_name": names["stores"].get(store, store) if store else pgettext("timeline", "no store"),
        "line_count": str(lines),
        "items": ngettext("%(n)s item", "%(n)s items", lines) % {"n": lines},
        "channel": channel_word(body.get("channel", "store")),
        "basis_word": _word(_BASES, body.get("basis", "")),
        "given_word": _word(_GIVEN, str(bool(body.get("given")))),
        "on_word": _word(_TAGGED if kind == "tag.changed" else _SWITCHED, str(bool(body.get("on")))),
    }
    for field, table in (("staff", "staff"), ("tag", "tags")):
        if field in body:
            words[field] = names[table].get(body[field], body[field])
    for field in ("net", "amount"):
        if isinstance(body.get(field), int):
            words[f"{field}_money"] = money(body[field])
    if "state" in body:
        words["state"] = relation_word(body["state"])
    if "purpose" in body:
        words["purpose"] = purpose_word(body["purpose"])
    return words


def _word(table: Mapping[str, str | Promise], code: str) -> str:
    return str(table.get(code, code))
