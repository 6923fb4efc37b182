"""The shape of answers: which fields, of which types; how two differ; and answers without what is personal. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CODE, TYPE, MISSING, UNKNOWN = "code", "type", "missing", "unknown"
_KEPT_BELOW = 10_000  # states, kinds and counts; larger numbers are times or ids
_ID = re.compile(r"(wm|wo|wr|ww|wx|et|msg|mom|wk|ca)[A-Za-z0-9_-]{14,}")
_ENVELOPE = frozenset({"errcode", "errmsg"})


@dataclass(frozen=True)
class Difference:
    """Where two answers to one call differ.

    `code`: other error codes. `type`: a field of another type. `missing`: the platform has a field that the simulator
    lacks. `unknown`: the simulator has one that the platform did not show, which may only be absent this time.
    """

    kind: str
    field: str
    real: str
    simulated: str

    @property
    def matters(self) -> bool:
        return self.kind != UNKNOWN


def shape(answer: Any) -> dict[str, frozenset[str]]:
    """Types by path, as `follow_user[].tags[].tag_name` -> {"text"}. An empty list leaves `…[]` -> {"nothing"}."""
    found: dict[str, set[str]] = {}
    _walk(answer, "", found)
    return {path: frozenset(types) for path, types in found.items() if path not in _ENVELOPE}


def _walk(value: Any, path: str, found: dict[str, set[str]]) -> None:
    if path:
        found.setdefault(path, set()).add(_type(value))
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _walk(inner, f"{path}.{name}" if path else str(name), found)
    elif isinstance(value, list):
        if not value:
            found.setdefault(f"{path}[]", set()).add("nothing")
        for inner in value:
            _walk(inner, f"{path}[]", found)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "switch", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return names[type(value)]


def differences(real: Mapping[str, Any], simulated: Mapping[str, Any]) -> list[Difference]:
    """How the answers to one call differ. Below a list that is empty on one side nothing is said."""
    codes = (str(real.get("errcode", 0)), str(simulated.get("errcode", 0)))
    if codes[0] != codes[1]:
        return [Difference(CODE, "errcode", *codes)]
    mine, theirs = shape(simulated), shape(real)
    empty = [path for side in (mine, theirs) for path, types in side.items() if "nothing" in types]
    found: list[Difference] = []
    for path in sorted(mine.keys() | theirs.keys()):
        if any(path.startswith(one) for one in empty):
            continue
        said, ours = theirs.get(path, frozenset()), mine.get(path, frozenset())
        kind = MISSING if not ours else UNKNOWN if not said else "" if said & ours else TYPE
        if kind and not _told_above(path, found):
            found.append(Difference(kind, path, _words(said), _words(ours)))
    return found


def _told_above(path: str, found: list[Difference]) -> bool:
    """Whether the field that holds this one was named already."""
    return any(path.startswith((f"{one.field}.", f"{one.field}[")) for one in found)


def _words(types: frozenset[str]) -> str:
    return "/".join(sorted(types)) or "–"


def masked(value: Any, name: str = "") -> Any:
    """The answer without what is personal or secret: texts become their kind of id and length, large numbers a mark."""
    if isinstance(value, Mapping):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, name) for inner in value[:2]] + (["…"] if len(value) > 2 else [])
    if isinstance(value, str):
        return _plain_message(value) if name == "errmsg" else _masked_text(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _KEPT_BELOW and name != "errcode":
        return "<number>"
    return value


def _masked_text(text: str) -> str:
    if not text:
        return ""
    known = _ID.fullmatch(text)
    return f"<{known[1] if known else 'text'} {len(text)}>"


def _plain_message(text: str) -> str:
    """The words before whatever names a value, an address or a hint."""
    return re.split(r"[^A-Za-z_ ]", text, maxsplit=1)[0].strip()[:60]
