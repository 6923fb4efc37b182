"""Automatic tags: the rule of a saved audience keeps a tag on exactly those who are in it.

The tag follows the snapshots of its audience, in their transactions: once a minute, or at the audience's schedule. It
is a tag like any other in rules, lists and exports, but nobody puts it on or takes it off by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from pyroaring import BitMap

from hetang.audiences import catalogues, past
from hetang.audiences.errors import NotWholeBrand, TagInUse
from hetang.audiences.models import Audience, AutomaticTag, Staying
from hetang.audiences.naming import naming
from hetang.customers import kept, services
from hetang.customers.errors import GroupExclusive
from hetang.customers.models import Tag, TagGroup
from hetang.platform import audit, clock
from hetang.platform.access import Actor

MAX_STAY_DAYS = 3650


@dataclass(frozen=True)
class Keeper:
    """What keeps a tag: an audience, and for how many days more."""

    tag_id: int
    audience: Audience
    stay_days: int


def create(actor: Actor, *, name: str, group: TagGroup, audience: Audience, stay_days: int = 0) -> Tag:
    """A new tag that an audience keeps from its next refresh on; the audience is then refreshed by itself.

    An existing tag is never handed to a rule: what people put on would be lost. Raises DuplicateName, GroupExclusive,
    NotWholeBrand, Forbidden.
    """
    actor.require_everywhere("audiences:edit")
    if group.exclusive:
        raise GroupExclusive(group.name)
    if audience.org_node.parent_id is not None:
        raise NotWholeBrand
    now = clock.now()
    with transaction.atomic():
        held = Audience.objects.select_for_update(of=("self",)).get(id=audience.id, archived_at=None, pond_set=None)
        tag = services.create_tag(group, name)
        kept.begin(tag)
        AutomaticTag.objects.create(
            tag=tag, audience=held, stay_days=stay_days, created_at=now, created_by_id=actor.user_id
        )
        if held.schedule is None:
            Audience.objects.filter(id=held.id).update(live=True)
        changes = {"name": name, "group": group.name, "audience": audience.name, "stay_days": stay_days}
        audit.record(actor, "tag.automatic", "tag", tag.pk, changes)
    catalogues.forget()
    return tag


def stop(actor: Actor, tag: Tag) -> None:
    """Take the tag off everybody and out of use. Raises TagInUse (rules name it), Forbidden,
    AutomaticTag.DoesNotExist."""
    actor.require_everywhere("audiences:edit")
    with transaction.atomic():
        row = AutomaticTag.objects.select_for_update().get(tag=tag)
        names = [user.title for user in using(tag.code)]
        if names:
            raise TagInUse(names)
        kept.keep(tag.pk, BitMap(), {"audience": row.audience_id})
        services.archive_tag(tag)
        row.delete()
        audit.record(actor, "tag.archived", "tag", tag.pk, {"name": tag.name})
    catalogues.forget()


def using(code: str) -> list[Audience]:
    """Audiences, and rules of ponds, that name a tag; by name."""
    return naming("tags", code)


def keepers(tags: Iterable[int]) -> dict[int, Keeper]:
    """What keeps each of these tags."""
    rows = AutomaticTag.objects.filter(tag__in=list(tags)).select_related("audience")
    return {row.pk: Keeper(row.pk, row.audience, row.stay_days) for row in rows}


def follow(audience: Audience, members: BitMap, now: datetime) -> None:
    """Let the tags that an audience keeps follow who is in it now, in the caller's transaction."""
    for row in AutomaticTag.objects.filter(audience=audience).order_by("pk").select_for_update():
        staying = _stay(row, members, now) if row.stay_days else BitMap()
        kept.keep(row.pk, members | staying, {"audience": audience.pk})


def _stay(row: AutomaticTag, members: BitMap, now: datetime) -> BitMap:
    """Who has left and wears it still. Those who left now are noted, by the hour in which their time ends; those who
    are back, or whose time is over, are not held any more."""
    held, over = BitMap(), BitMap()
    for one in Staying.objects.filter(automatic=row):
        before = BitMap.deserialize(bytes(one.members))
        rest = before - members
        if one.until <= now or not rest:
            over |= before
            one.delete()
            continue
        if rest != before:
            Staying.objects.filter(pk=one.pk).update(members=rest.serialize())
        held |= rest
    held = past.as_numbered_now(held) - members
    left = past.as_numbered_now(kept.members_of(row.pk) - over) - members - held
    if left:
        _note_leaving(row, left, now)
    return held | left


def _note_leaving(row: AutomaticTag, left: BitMap, now: datetime) -> None:
    end = now + timedelta(days=row.stay_days, hours=1)
    until = end.replace(minute=0, second=0, microsecond=0)
    same = Staying.objects.filter(automatic=row, until=until).first()
    if same is None:
        Staying.objects.create(automatic=row, until=until, members=left.serialize())
    else:
        together = BitMap.deserialize(bytes(same.members)) | left
        Staying.objects.filter(pk=same.pk).update(members=together.serialize())
