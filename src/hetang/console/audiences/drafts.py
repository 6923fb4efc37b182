"""The rule being built, between edits: the rule's own JSON, whose values may still be what somebody typed.

A part is named by its place: `all-0-not-any-1`. Exclusions are always written `{"not": {"any": [...]}}`, so that every
group is a list. What cannot be read as a number stays text, for `rules.parse` to refuse at its place.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from django.http import QueryDict

from hetang.audiences import rules
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule, Node, Path, Problem
from hetang.console.audiences.field import Field
from hetang.console.audiences.fields import fields_of

GROUPS = ("all", "any", "none")
MAX_PAST = 30
MAX_PAST_BYTES = 200_000

Rule = dict[str, Any]


def opened(document: dict[str, Any] | None) -> Rule:
    """A saved rule as a draft: the root is a group of all."""
    rule = copy.deepcopy(document["rule"]) if document else {"all": []}
    rule = _listed(rule)
    return rule if "all" in rule else {"all": [rule]}


def read(posted: QueryDict, known: Catalogue) -> tuple[Rule, list[Rule]]:
    """The draft as it was drawn, with what the fields say now, and the drafts before it (newest last)."""
    try:
        rule = loaded(posted.get("tree") or '{"all": []}')
        past = loaded(posted.get("past") or "[]")
        drawn = copy.deepcopy(rule)
        for place, leaf in list(leaves(rule)):
            put(rule, place, _read_leaf(leaf, place, posted, known))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return {"all": []}, []
    if rule != drawn:
        past.append(drawn)
    return rule, past


def loaded(text: str) -> Any:
    """What a text in JSON says. Raises ValueError or RecursionError, also where half of a character stands in it: that
    can be written neither to a page nor to the database."""
    found = json.loads(text)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def reopened(document: Any, known: Catalogue) -> Rule:
    """A rule document from a form as a draft, whether it can be evaluated or not; an empty one where it is none."""
    try:
        posted = QueryDict(mutable=True)
        posted["tree"] = json.dumps(opened(document))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"all": []}
    return read(posted, known)[0]


def packed(past: list[Rule]) -> str:
    """The drafts before, as many as may travel with the page."""
    kept = past[-MAX_PAST:]
    while kept and len(text := json.dumps(kept, ensure_ascii=False)) > MAX_PAST_BYTES:
        kept = kept[1:]
    return text if kept else "[]"


def leaves(rule: Rule, place: str = "") -> Iterator[tuple[str, Rule]]:
    """The conditions with their places."""
    inner = children(rule)
    if inner is None:
        yield place, rule
        return
    for at, child in zip(places(rule, place), inner, strict=True):
        yield from leaves(child, at)


def kind_of(rule: Rule) -> str:
    """`all`, `any` or `none` of a group; empty for a condition."""
    if "not" in rule:
        return "none"
    return "all" if "all" in rule else "any" if "any" in rule else ""


def children(rule: Rule) -> list[Rule] | None:
    """What a group holds (the list itself); None for a condition."""
    match kind_of(rule):
        case "none":
            return rule["not"]["any"]  # type: ignore[no-any-return]
        case "":
            return None
        case kind:
            return rule[kind]  # type: ignore[no-any-return]


def places(rule: Rule, place: str) -> list[str]:
    """The places of what a group holds."""
    word = "not-any" if kind_of(rule) == "none" else kind_of(rule)
    start = f"{place}-{word}" if place else word
    return [f"{start}-{position}" for position in range(len(children(rule) or ()))]


def group(kind: str, inner: list[Rule]) -> Rule:
    return {"not": {"any": inner}} if kind == "none" else {kind: inner}


def find(rule: Rule, place: str) -> Rule:
    """The part at a place. Raises LookupError when there is none."""
    part: Any = rule
    try:
        for step in place.split("-") if place else ():
            part = part[int(step)] if isinstance(part, list) else part[step]
    except (ValueError, TypeError) as wrong:
        raise LookupError(place) from wrong
    if not isinstance(part, dict):
        raise LookupError(place)
    return part


def put(rule: Rule, place: str, part: Rule) -> None:
    """Replace the part at a place, in place."""
    target = find(rule, place)
    target.clear()
    target.update(part)


def add(rule: Rule, place: str, part: Rule) -> None:
    """Append to the group at a place."""
    inner = children(find(rule, place))
    if inner is None:
        raise LookupError(place)
    inner.append(part)


def remove(rule: Rule, place: str) -> None:
    """Take out the part at a place (not the root)."""
    holder, _, position = place.rpartition("-")
    holder = holder.removesuffix("not-any").removesuffix("all").removesuffix("any").rstrip("-")
    inner = children(find(rule, holder))
    if inner is None or not position.isdigit():
        raise LookupError(place)
    del inner[int(position)]


def regroup(rule: Rule, place: str, kind: str) -> None:
    """Make the group at a place one of another kind."""
    inner = children(find(rule, place))
    if inner is None or kind not in GROUPS:
        raise LookupError(place)
    put(rule, place, group(kind, inner))


def document(rule: Rule) -> dict[str, Any]:
    """The draft as a rule document, to be saved."""
    return {"version": rules.VERSION, "rule": rule}


def usable(rule: Rule, known: Catalogue) -> tuple[Rule, Node, dict[str, list[Problem]]]:
    """What can be evaluated of a draft (unfinished conditions and empty groups left out), and the problems by place."""
    problems: dict[str, list[Problem]] = {}
    while True:
        kept = _without(rule, "", set(problems)) or {"all": []}
        try:
            return kept, parse(document(kept), known), problems
        except InvalidRule as invalid:
            found = _problems_by_place(rule, kept, problems, invalid)
            if not found:
                return {"all": []}, rules.All(()), problems
            problems |= found


def drawn_place(path: Path) -> str:
    """A place from a path of the engine's answer (`("rule", "all", 0)`)."""
    return "-".join(str(step) for step in path[1:])


def original_places(rule: Rule, left_out: set[str]) -> dict[str, str]:
    """Where each part of the usable rule stands in the draft: usable place -> draft place."""
    mapping: dict[str, str] = {}
    _map(rule, "", "", left_out, mapping)
    return mapping


def _map(rule: Rule, place: str, kept_place: str, left_out: set[str], mapping: dict[str, str]) -> None:
    mapping[kept_place] = place
    inner = children(rule)
    if inner is None:
        return
    kept = [
        (child, at)
        for child, at in zip(inner, places(rule, place), strict=True)
        if at not in left_out and _without(child, at, left_out) is not None
    ]
    word = "not-any" if kind_of(rule) == "none" else kind_of(rule)
    start = f"{kept_place}-{word}" if kept_place else word
    for position, (child, at) in enumerate(kept):
        _map(child, at, f"{start}-{position}", left_out, mapping)


def _problems_by_place(
    rule: Rule, kept: Rule, before: dict[str, list[Problem]], invalid: InvalidRule
) -> dict[str, list[Problem]]:
    mapping = original_places(rule, set(before)) if kept != {"all": []} else {"": ""}
    found: dict[str, list[Problem]] = {}
    for problem in invalid.problems:
        steps = [str(step) for step in problem.path[1:]]
        while steps and "-".join(steps) not in mapping:
            steps.pop()
        place = mapping.get("-".join(steps), "")
        if place and place not in before:
            found.setdefault(place, []).append(problem)
    return found


def _without(rule: Rule, place: str, left_out: set[str]) -> Rule | None:
    if place in left_out and place:
        return None
    inner = children(rule)
    if inner is None:
        return rule
    kept = [_without(child, at, left_out) for child, at in zip(inner, places(rule, place), strict=True)]
    left = [child for child in kept if child is not None]
    return group(kind_of(rule), left) if left else None


def _listed(rule: Rule) -> Rule:
    """Every `not` around a list of any."""
    for word in ("all", "any"):
        if word in rule:
            return {word: [_listed(part) for part in rule[word]]}
    if "not" in rule:
        inner = _listed(rule["not"])
        return {"not": inner if "any" in inner else {"any": [inner]}}
    return rule


def _read_leaf(leaf: Rule, place: str, posted: QueryDict, known: Catalogue) -> Rule:
    """A condition with what its fields say. Fields that decide the form of others are read first."""
    read: Rule = {"type": leaf["type"]}
    for only_shape in (True, False):
        for field in fields_of(_laid_over(leaf, read), known):
            if field.shape == only_shape:
                into = read.setdefault(field.part, {}) if field.part else read
                _read_field(into, field, f"f-{place}-{field.name}", posted)
    for field in fields_of(read, known):
        if field.drawn:
            (read[field.part] if field.part else read).pop(field.key, None)
    return read


def _laid_over(leaf: Rule, read: Rule) -> Rule:
    """A condition with what was read of it so far, parts within parts."""
    whole = {**leaf, **read}
    for key, part in read.items():
        if isinstance(part, dict) and isinstance(leaf.get(key), dict):
            whole[key] = {**leaf[key], **part}
    return whole


def _read_field(into: Rule, field: Field, name: str, posted: QueryDict) -> None:
    if name not in posted and f"{name}.0" not in posted and not (field.many and f"{name}.sent" in posted):
        into.update(field.initial())
        return
    if field.pair:
        into[field.key] = [field.typed(posted.get(f"{name}.{end}", "")) for end in (0, 1)]
    elif field.many:
        into[field.key] = [text for text in posted.getlist(name) if text]
    else:
        value = field.typed(posted.get(name, ""))
        if value is not None or not field.optional:
            into[field.key] = value
