"""Rules that ponds have of their own, saved, put away and brought back with their pond set.

Each is an audience that belongs to the set: so it has versions, can be counted and explained like any other, and a day
of the set says by which version it was taken. Nobody else can name it, until it is made a saved audience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from hetang.audiences import catalogues, services
from hetang.audiences.errors import NameTaken, OutsideScope, StaleVersion
from hetang.audiences.models import Audience, Pond, PondSet
from hetang.audiences.rules import named_in
from hetang.platform import audit, clock
from hetang.platform.access import Actor


def by_pond(pond_set: PondSet) -> dict[str, Audience]:
    """The own rules of its ponds, by the public id of the pond. One query."""
    ponds = Pond.objects.filter(pond_set=pond_set, removed_at=None, audience__pond_set=pond_set)
    return {str(one.public_id): one.audience for one in ponds.select_related("audience")}


def hold(rules: Sequence[dict[str, Any]]) -> None:
    """Keep what rules name from going until they are committed. Raises InvalidRule."""
    services.hold({"rules": list(rules)})
    services.hold_ponds({"rules": list(rules)})


def settle(actor: Actor, pond_set: PondSet, wanted: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Audience]:
    """Save (name, rule) by the public id that each own rule has or is to have; in the caller's transaction, which has
    the row of the set. A rule that stays what it was stays the version that it was."""
    there = {str(one.public_id): one for one in pond_set.own_rules.all()}
    found = {}
    for public_id, (name, rule) in wanted.items():
        own = there.get(public_id)
        if own is None or own.rule != rule:
            own = _changed(own or _new(actor, pond_set, public_id), rule)
            services.keep_version(actor, own)
        if own.name != name:
            Audience.objects.filter(pk=own.pk).update(name=name)
        found[public_id] = own
    return found


def _new(actor: Actor, pond_set: PondSet, public_id: str) -> Audience:
    now = clock.now()
    return Audience(
        public_id=UUID(public_id),
        pond_set=pond_set,
        org_node=pond_set.org_node,
        version=0,
        created_at=now,
        created_by_id=actor.user_id,
    )


def _changed(own: Audience, rule: dict[str, Any]) -> Audience:
    own.rule, own.version, own.updated_at = rule, own.version + 1, clock.now()
    own.save()
    return own


def put_away(pond_set: PondSet, *, but: Sequence[int] = ()) -> None:
    """Archive its own rules, but for some by id."""
    pond_set.own_rules.filter(archived_at=None).exclude(pk__in=list(but)).update(archived_at=clock.now())


def bring_back(pond_set: PondSet) -> list[str]:
    """Take the own rules of its ponds out of the archive again, in the caller's transaction. Gives the names of what
    they name and is archived meanwhile."""
    own = list(by_pond(pond_set).values())
    Audience.objects.filter(pk__in=[one.pk for one in own]).update(archived_at=None)
    named = named_in([one.rule for one in own], "audience")
    held = Audience.objects.select_for_update(of=("self",)).filter(public_id__in=named).order_by("pk")
    return [one.name for one in held if one.archived_at is not None]


def make_audience(actor: Actor, pond_set: PondSet, pond: Pond, name: str) -> Audience:
    """Make the own rule of a pond a saved audience of this name, that anybody may use; the pond goes on with it and its
    days are not touched. `pond_set` carries the version that the editor saw.

    Raises NameTaken, OutsideScope, StaleVersion (also where the pond has no rule of its own any more), Forbidden.
    """
    actor.require("audiences:edit")
    if not actor.own_scope("audiences:edit").covers(pond_set.org_node.path):
        raise OutsideScope
    try:
        with transaction.atomic():
            same = PondSet.objects.filter(pk=pond_set.pk, version=pond_set.version, archived_at=None)
            changed = same.update(version=pond_set.version + 1, updated_at=clock.now())
            own = Audience.objects.filter(pk=pond.audience_id, pond_set=pond_set, archived_at=None)
            if changed != 1 or own.update(pond_set=None, name=name, updated_at=clock.now()) != 1:
                raise StaleVersion
            saved = Audience.objects.get(pk=pond.audience_id)
            changes = {
                "name": name,
                "version": saved.version,
                "rule": saved.rule,
                "ponds": [[pond_set.name, pond.name]],
            }
            audit.record(actor, "audience.saved", "audience", saved.public_id, changes, saved.org_node_id)
    except IntegrityError as clash:
        raise NameTaken() if "audience_name_once" in str(clash) else clash from clash
    catalogues.forget()
    return saved
