"""Pond sets: save them, put them away, and ask where everybody is now.

Each pond has a saved audience. Whoever fits several is in the first of them, whoever fits none is in the rest; so
everybody is in exactly one place, and what leaves one pond is found in another.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from pyroaring import BitMap

from hetang.audiences import catalogues, queries
from hetang.audiences.errors import InvalidPonds, NameTaken, OutsideScope, PondInUse, PondsGone, StaleVersion
from hetang.audiences.models import Audience, Pond, PondSet
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule, PondRule, named_in
from hetang.audiences.services import hold
from hetang.platform import audit, clock, engine_client
from hetang.platform.access import Actor, Scope
from hetang.platform.models import OrgNode

MOST = 12  # ponds of a set, without the rest: more cannot be told apart in a picture
MAX_NAME = 80


@dataclass(frozen=True)
class Wanted:
    """A pond as somebody wants it: its name, the public id of its audience, and its own where it is there already."""

    name: str
    audience: str
    pond: str = ""


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


def now(audiences: Sequence[Audience], scope: Scope, *, members: bool = False, fresh: bool = False) -> Now:
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
    audiences = checked(actor, ponds, pond_set)
    fields = {"name": name, "org_node": org_node, "description": description}
    try:
        with transaction.atomic():
            hold({"rules": [{"audience": one.audience} for one in ponds]})
            saved = _create(actor, fields) if pond_set is None else _update(pond_set, fields)
            _arrange(saved, ponds, audiences)
            told = [[one.name, audiences[one.audience].name] for one in ponds]
            changes = {"name": name, "version": saved.version, "ponds": told}
            audit.record(actor, "pond_set.saved", "pond_set", saved.public_id, changes, org_node.id)
    except IntegrityError as clash:
        raise _named(clash) from clash
    catalogues.forget()
    return saved


def checked(actor: Actor, ponds: Sequence[Wanted], pond_set: PondSet | None = None) -> dict[str, Audience]:
    """The audiences of these ponds by public id. Raises InvalidPonds."""
    known = _with_ponds(catalogues.catalogue(fresh=True), ponds, pond_set)
    wanted = [one.audience for one in ponds if one.audience in known.audiences]
    seen = queries.visible(actor.scope("audiences:edit")).filter(public_id__in=wanted)
    audiences = {str(one.public_id): one for one in seen}
    problems: list[tuple[int | None, str]] = []
    if not ponds:
        problems.append((None, "no_ponds"))
    if len(ponds) > MOST:
        problems.append((None, "too_many"))
    names: set[str] = set()
    used: set[str] = set()
    for place, one in enumerate(ponds[:MOST]):
        if not one.name or len(one.name) > MAX_NAME:
            problems.append((place, "name_missing"))
        elif one.name in names:
            problems.append((place, "name_twice"))
        if not one.audience:
            problems.append((place, "audience_missing"))
        elif one.audience not in audiences:
            problems.append((place, "audience_unknown"))
        elif one.audience in used:
            problems.append((place, "audience_twice"))
        elif trouble := _trouble(audiences[one.audience], known):
            problems.append((place, trouble))
        names.add(one.name)
        used.add(one.audience)
    if problems:
        raise InvalidPonds(problems)
    return audiences


def _with_ponds(known: Catalogue, ponds: Sequence[Wanted], pond_set: PondSet | None) -> Catalogue:
    """What exists as it would be with these ponds: rules may name those that are there already, and the rest."""
    if pond_set is None:
        return known
    named = dict(known.ponds)
    earlier: list[str] = []
    for one in ponds:
        if one.pond in named:
            named[one.pond] = PondRule(pond_set.name, one.name, one.audience, tuple(earlier))
        earlier.append(one.audience)
    named[str(pond_set.public_id)] = PondRule(pond_set.name, "", "", tuple(earlier))
    return replace(known, ponds=named)


def _trouble(audience: Audience, known: Catalogue) -> str:
    """Why the rule of an audience cannot be that of a pond; empty if it can."""
    try:
        parse(audience.rule, known, frozenset({str(audience.public_id)}))
    except InvalidRule as invalid:
        circles = any(problem.code in {"cycle", "tag_cycle"} for problem in invalid.problems)
        return "audience_cycle" if circles else "audience_broken"
    return ""


def _create(actor: Actor, fields: dict[str, object]) -> PondSet:
    at = clock.now()
    return PondSet.objects.create(**fields, created_at=at, updated_at=at, created_by_id=actor.user_id)


def _update(pond_set: PondSet, fields: dict[str, object]) -> PondSet:
    same = PondSet.objects.filter(id=pond_set.id, version=pond_set.version, archived_at=None)
    if same.update(**fields, version=pond_set.version + 1, updated_at=clock.now(), tried_at=None, problem="") != 1:
        raise StaleVersion
    return PondSet.objects.get(id=pond_set.id)


def _arrange(pond_set: PondSet, wanted: Sequence[Wanted], audiences: dict[str, Audience]) -> None:
    """Ponds that are there already stay who they are, under whatever name: their days go on."""
    there = {str(one.public_id): one for one in ponds_of(pond_set)}
    kept, new = [], []
    for position, one in enumerate(wanted):
        pond = there.pop(one.pond, None)
        if pond is None:
            pond = Pond(pond_set=pond_set)
            new.append(pond)
        else:
            kept.append(pond)
        pond.name, pond.audience, pond.position = one.name, audiences[one.audience], position
    Pond.objects.bulk_create(new)
    Pond.objects.bulk_update(kept, ["name", "audience", "position"])
    Pond.objects.filter(pk__in=[one.pk for one in there.values()]).update(removed_at=clock.now())
    _free([str(one.public_id) for one in there.values()])


def _free(codes: Iterable[str]) -> None:
    """Raises PondInUse where rules ask for ponds that are gone. After their update: whoever saves such a rule holds
    them until it is there (`services._hold_ponds`)."""
    wanted = set(codes)
    saved = Audience.objects.filter(archived_at=None).order_by("name") if wanted else ()
    names = [one.name for one in saved if wanted & named_in(one.rule, "ponds")]
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
            held = Audience.objects.select_for_update().filter(pk__in=[one.audience_id for one in ponds])
            gone = [one.name for one in held.order_by("pk") if one.archived_at is not None]
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
