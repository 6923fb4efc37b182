"""Pond sets: save them, put them away, and ask where everybody is now.

Each pond has a saved audience, or a rule of its own (see `pond_rules`). Whoever fits several is in the first of them,
whoever fits none is in the rest; so everybody is in exactly one place, and what leaves one pond is found in another.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from pyroaring import BitMap

from hetang.audiences import catalogues, pond_rules, queries
from hetang.audiences.errors import InvalidPonds, NameTaken, OutsideScope, PondInUse, PondsGone, StaleVersion
from hetang.audiences.models import Audience, Pond, PondSet, own_rule_title
from hetang.audiences.naming import naming
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule, PondRule, SavedRule
from hetang.platform import audit, clock, engine_client
from hetang.platform.access import Actor, Scope
from hetang.platform.ids import public_id as new_public_id
from hetang.platform.models import OrgNode

MOST = 12  # ponds of a set, without the rest: more cannot be told apart in a picture
MAX_NAME = 80


@dataclass(frozen=True)
class Wanted:
    """A pond as somebody wants it: its name, the public id of its audience, and its own where it is there already. With
    a `rule` (a document) it has that instead of an audience."""

    name: str
    audience: str = ""
    pond: str = ""
    rule: dict[str, Any] | None = None


class Ruled(Protocol):
    """What has a rule document: an audience, or a draft."""

    @property
    def rule(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class _Meant:
    """A pond that is wanted, with the public id that its audience or its own rule has or is to have."""

    wanted: Wanted
    audience: str


@dataclass(frozen=True)
class Now:
    """Where everybody in scope (`of`) is now: `people` of each pond and, at the end, of the rest. `fits[i]`: how many
    fit the audience of pond i at all; `lost[i][j]`: how many of them the earlier pond j has."""

    of: int
    people: list[int]
    fits: list[int]
    lost: list[list[int]]
    parts: list[BitMap]


def visible(scope: Scope) -> QuerySet[PondSet]:
    """Pond sets that somebody with this scope may see: her nodes', and those of the nodes above."""
    return PondSet.objects.filter(queries.placed(scope), archived_at=None).select_related("org_node")


def archived(scope: Scope) -> QuerySet[PondSet]:
    """Archived pond sets of the nodes of a scope."""
    found = PondSet.objects.exclude(archived_at=None).select_related("org_node")
    return found if scope.everything else found.filter(org_node__in=scope.org_nodes())


def ponds_of(pond_set: PondSet) -> list[Pond]:
    """Its ponds in their order, with their audiences. One query."""
    return list(pond_set.ponds.filter(removed_at=None).select_related("audience").order_by("position"))


def now(audiences: Sequence[Ruled], scope: Scope, *, members: bool = False, fresh: bool = False) -> Now:
    """Where everybody in scope is, by the rules of these audiences in their order. `members` fills `parts`, `fresh`
    counts all that is committed by now. Raises like `queries.preview`. 1 M people in 6 ponds of tags: 75 ms on a busy
    machine (`benchmarks.pond_flow`)."""
    payload = {
        "rules": [one.rule for one in audiences],
        "scope": queries.paths_of(scope),
        "members": members,
        "fresh": fresh,
    }
    answer = engine_client.call("sets", "ponds", payload, timeout_s=120)
    parts = [BitMap.deserialize(base64.b64decode(one)) for one in answer.get("members", ())]
    return Now(answer["of"], answer["people"], answer["fits"], answer["lost"], parts)


def save(
    actor: Actor,
    *,
    name: str,
    ponds: Sequence[Wanted],
    org_node: OrgNode,
    pond_set: PondSet | None = None,
    description: str = "",
) -> PondSet:
    """Make a pond set, or change one. `pond_set` carries the version that the editor saw.

    Raises InvalidPonds with all that is wrong, PondInUse, NameTaken, OutsideScope, StaleVersion, InvalidRule (an
    audience was archived in this moment), Forbidden.
    """
    actor.require("audiences:edit")
    scope = actor.own_scope("audiences:edit")
    if not scope.covers(org_node.path) or (pond_set is not None and not scope.covers(pond_set.org_node.path)):
        raise OutsideScope
    meant, audiences = checked(actor, ponds, pond_set)
    own = {one.audience: (one.wanted.name, one.wanted.rule) for one in meant if one.wanted.rule is not None}
    fields = {"name": name, "org_node": org_node, "description": description}
    try:
        with transaction.atomic():
            pond_rules.hold([{"audience": list(audiences)}, *(rule for _name, rule in own.values())])
            saved = _create(actor, fields) if pond_set is None else _update(pond_set, fields)
            audiences |= pond_rules.settle(actor, saved, own)
            gone = _arrange(saved, meant, audiences)
            pond_rules.put_away(saved, but=[one.pk for one in audiences.values()])
            _free(gone)
            told = [
                [one.wanted.name, own[one.audience][1] if one.audience in own else audiences[one.audience].name]
                for one in meant
            ]
            changes = {"name": name, "version": saved.version, "ponds": told}
            audit.record(actor, "pond_set.saved", "pond_set", saved.public_id, changes, org_node.id)
    except IntegrityError as clash:
        raise _named(clash) from clash
    catalogues.forget()
    return saved


def checked(
    actor: Actor, ponds: Sequence[Wanted], pond_set: PondSet | None = None
) -> tuple[list[_Meant], dict[str, Audience]]:
    """These ponds, and the saved audiences among them by public id. Raises InvalidPonds."""
    meant = _meant(ponds, pond_set)
    rules = [one.rule for one in ponds if one.rule is not None]
    known = _with_ponds(catalogues.catalogue({"rules": rules}, fresh=True), meant, pond_set)
    wanted = [one.audience for one in ponds if one.rule is None and one.audience in known.audiences]
    seen = queries.visible(actor.scope("audiences:edit")).filter(public_id__in=wanted)
    audiences = {str(one.public_id): one for one in seen}
    problems: list[tuple[int | None, str]] = []
    if not ponds:
        problems.append((None, "no_ponds"))
    if len(ponds) > MOST:
        problems.append((None, "too_many"))
    names: set[str] = set()
    used: set[str] = set()
    for place, (one, identity) in enumerate((one.wanted, one.audience) for one in meant[:MOST]):
        if not one.name or len(one.name) > MAX_NAME:
            problems.append((place, "name_missing"))
        elif one.name in names:
            problems.append((place, "name_twice"))
        if one.rule is not None:
            if trouble := _trouble(one.rule, identity, known, "rule"):
                problems.append((place, trouble))
        elif not one.audience:
            problems.append((place, "audience_missing"))
        elif one.audience not in audiences:
            problems.append((place, "audience_unknown"))
        elif one.audience in used:
            problems.append((place, "audience_twice"))
        elif trouble := _trouble(audiences[one.audience].rule, identity, known, "audience"):
            problems.append((place, trouble))
        names.add(one.name)
        used |= {one.audience} if one.rule is None else set()
    if problems:
        raise InvalidPonds(problems)
    return meant, audiences


def _meant(ponds: Sequence[Wanted], pond_set: PondSet | None) -> list[_Meant]:
    """A pond that has a rule of its own already changes that one."""
    own = pond_rules.by_pond(pond_set) if pond_set else {}
    found = []
    for one in ponds:
        there = own.pop(one.pond, None) if one.rule is not None else None
        new = one.audience if one.rule is None else str(new_public_id())
        found.append(_Meant(one, str(there.public_id) if there else new))
    return found


def _with_ponds(known: Catalogue, meant: Sequence[_Meant], pond_set: PondSet | None) -> Catalogue:
    """What exists as it would be with these ponds: rules may name those that are there already, and the rest."""
    name = pond_set.name if pond_set else ""
    saved = dict(known.audiences)
    for one in meant:
        if one.wanted.rule is not None:
            saved[one.audience] = SavedRule(0, own_rule_title(name, one.wanted.name), one.wanted.rule, of_pond=True)
    known = replace(known, audiences=saved)
    if pond_set is None:
        return known
    named = dict(known.ponds)
    earlier: list[str] = []
    for one in meant:
        if one.wanted.pond in named:
            named[one.wanted.pond] = PondRule(name, one.wanted.name, one.audience, tuple(earlier))
        earlier.append(one.audience)
    named[str(pond_set.public_id)] = PondRule(name, "", "", tuple(earlier))
    return replace(known, ponds=named)


def _trouble(rule: dict[str, Any], identity: str, known: Catalogue, whose: str) -> str:
    """Why a rule (`whose`: of an "audience", or the pond's own "rule") cannot be that of a pond; empty if it can."""
    try:
        parse(rule, known, frozenset({identity}))
    except InvalidRule as invalid:
        circles = any(problem.code in {"cycle", "tag_cycle"} for problem in invalid.problems)
        return f"{whose}_cycle" if circles else f"{whose}_broken"
    return ""


def _create(actor: Actor, fields: dict[str, object]) -> PondSet:
    at = clock.now()
    return PondSet.objects.create(**fields, created_at=at, updated_at=at, created_by_id=actor.user_id)


def _update(pond_set: PondSet, fields: dict[str, object]) -> PondSet:
    same = PondSet.objects.filter(id=pond_set.id, version=pond_set.version, archived_at=None)
    if same.update(**fields, version=pond_set.version + 1, updated_at=clock.now(), tried_at=None, problem="") != 1:
        raise StaleVersion
    return PondSet.objects.get(id=pond_set.id)


def _arrange(pond_set: PondSet, meant: Sequence[_Meant], audiences: dict[str, Audience]) -> list[str]:
    """Ponds that are there already stay who they are, under whatever name: their days go on. Gives those that go."""
    there = {str(one.public_id): one for one in ponds_of(pond_set)}
    kept, new = [], []
    for position, one in enumerate(meant):
        pond = there.pop(one.wanted.pond, None)
        if pond is None:
            pond = Pond(pond_set=pond_set)
            new.append(pond)
        else:
            kept.append(pond)
        pond.name, pond.audience, pond.position = one.wanted.name, audiences[one.audience], position
    Pond.objects.bulk_create(new)
    Pond.objects.bulk_update(kept, ["name", "audience", "position"])
    Pond.objects.filter(pk__in=[one.pk for one in there.values()]).update(removed_at=clock.now())
    return list(there)


def _free(codes: Iterable[str]) -> None:
    """Raises PondInUse where rules ask for ponds that are gone. After their update: whoever saves such a rule holds
    them until it is there (`services.hold_ponds`)."""
    wanted = list(codes)
    names = [one.title for one in naming("ponds", *wanted)] if wanted else []
    if names:
        raise PondInUse(names)


def archive(actor: Actor, pond_set: PondSet) -> None:
    """Put a pond set away: nothing is kept of the days from now on, what was stays. Raises PondInUse, OutsideScope,
    StaleVersion, Forbidden."""
    _authorise(actor, pond_set)
    with transaction.atomic():
        changed = PondSet.objects.filter(id=pond_set.id, archived_at=None).update(archived_at=clock.now())
        if changed != 1:
            raise StaleVersion
        pond_rules.put_away(pond_set)
        _free([str(pond_set.public_id), *(str(one.public_id) for one in ponds_of(pond_set))])
        audit.record(actor, "pond_set.archived", "pond_set", pond_set.public_id, {}, pond_set.org_node_id)
    catalogues.forget()


def restore(actor: Actor, pond_set: PondSet) -> None:
    """Bring an archived pond set back. Raises NameTaken, PondsGone, OutsideScope, StaleVersion, Forbidden."""
    _authorise(actor, pond_set)
    try:
        with transaction.atomic():
            same = PondSet.objects.filter(id=pond_set.id).exclude(archived_at=None)
            if same.update(archived_at=None, tried_at=None, problem="") != 1:
                raise StaleVersion
            ponds = pond_set.ponds.filter(removed_at=None).order_by("position")
            # Held, so that none is archived in this moment.
            held = Audience.objects.select_for_update(of=("self",)).filter(pk__in=[one.audience_id for one in ponds])
            asked = pond_rules.bring_back(pond_set)
            gone = [*(one.name for one in held.order_by("pk") if one.archived_at is not None), *asked]
            if gone:
                raise PondsGone(gone)
            audit.record(actor, "pond_set.restored", "pond_set", pond_set.public_id, {}, pond_set.org_node_id)
    except IntegrityError as clash:
        raise _named(clash) from clash
    catalogues.forget()


def _named(clash: IntegrityError) -> Exception:
    return NameTaken() if "pond_set_name_once" in str(clash) else clash


def _authorise(actor: Actor, pond_set: PondSet) -> None:
    actor.require("audiences:edit")
    if not actor.own_scope("audiences:edit").covers(pond_set.org_node.path):
        raise OutsideScope
