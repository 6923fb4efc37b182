"""A customer's timeline in words: the templates of the fact kinds, filled in the current language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import get_language, pgettext

from hetang.facts.kinds import KINDS

# Short words mean different things in different places: a context of their own keeps them apart.
_CONTEXT = "timeline"

Money = Callable[[int | None], str]

_STATES = {
    "active": "friends",
    "half": "not yet accepted",
    "lost_by_customer": "removed by the customer",
    "lost_by_staff": "removed by the adviser",
}
_PURPOSES = {
    "marketing": "marketing messages",
    "service": "service messages",
    "transaction": "messages about orders",
    "guardian": "marketing, by a guardian",
    "personalisation": "personalised messages",
}
_BASES = {
    "consent": "consent",
    "contract": "performance of a contract",
    "legal_duty": "legal duty",
    "public_interest": "public interest",
    "unknown": "not known",
}
_GIVEN = {"True": "given", "False": "withdrawn"}
_SWITCHED = {"True": "on", "False": "off"}
_TAGGED = {"True": "put on", "False": "taken off"}
_CHANNELS = {
    "wecom": "WeCom",
    "sms": "SMS",
    "email": "e-mail",
    "store": "store",
    "mini_program": "mini-program",
    "h5": "web page",
    "any": "all channels",
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
    store = body.get("store")
    words = {
        "store_name": names["stores"].get(store, store) if store else pgettext(_CONTEXT, "no store"),
        "line_count": str(len(body.get("lines", ()))),
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


def _word(table: Mapping[str, str], code: str) -> str:
    return pgettext(_CONTEXT, table[code]) if code in table else code
