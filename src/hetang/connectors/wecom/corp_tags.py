"""Tags of the corp and ours: which is which. WeCom's groups and tags become ours by their names.

What was renamed on one side follows on the other as the group's direction says (`TagDirection`). Where both sides
renamed and it goes both ways, the name in WeCom wins: it is the one that colleagues see in their client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from hetang.connectors.wecom.client import Client
from hetang.connectors.wecom.models import Corp, CorpTag, CorpTagGroup, TagDirection, TagStep
from hetang.connectors.wecom.protocol.tags import CORP_TAGS, TagQuery
from hetang.connectors.wecom.protocol.tags import CorpTag as ToldTag
from hetang.connectors.wecom.protocol.tags import CorpTagGroup as ToldGroup
from hetang.customers.models import KeptTag, Tag, TagGroup
from hetang.platform import clock

NAME_LIMIT = 30


@dataclass(frozen=True)
class _Place:
    """A group of WeCom, the group of ours that it is, and the direction that was chosen for it."""

    told: ToldGroup
    ours: TagGroup
    direction: str


def bring_in(client: Client, corp: Corp, tag_ids: Iterable[str] = (), group_ids: Iterable[str] = ()) -> int:
    """Ask for all tags of the corp, or for some, and take them over. Returns how many there are."""
    groups, tags = list(group_ids), list(tag_ids)
    found = client.call(CORP_TAGS, TagQuery(group_id=groups, tag_id=[] if groups else tags)).tag_group
    return take_over(corp, found, everything=not groups and not tags)


@transaction.atomic
def take_over(corp: Corp, groups: list[ToldGroup], *, everything: bool) -> int:
    """Make groups and tags of ours for those that are new, follow new names, and note what was deleted.

    A deleted tag of the corp leaves ours where it is; no mark of it goes out any more. About twenty statements for any
    number. One at a time for each corp.
    """
    Corp.objects.select_for_update(no_key=True).get(pk=corp.pk)
    living = [group for group in groups if not group.deleted and group.group_name]
    places = _places(corp, living)
    rows = [(places[group.group_id], tag) for group in living for tag in group.tag if not tag.deleted]
    known = {row.tag_id: row for row in CorpTag.objects.filter(corp=corp).select_related("ours")}
    _link(corp, rows, known)
    _follow_names([(known[tag.id], place, tag) for place, tag in rows if tag.id in known], _asked(corp, "tag"))
    listed = {tag.id for _place, tag in rows}
    gone = {tag.id for group in groups for tag in group.tag if tag.deleted or group.deleted}
    if everything:
        gone |= known.keys() - listed
        CorpTagGroup.objects.filter(corp=corp).exclude(group_id__in=places).delete()
    CorpTag.objects.filter(corp=corp, tag_id__in=gone, deleted_at=None).update(deleted_at=clock.now())
    CorpTag.objects.filter(corp=corp, tag_id__in=listed).exclude(deleted_at=None).update(deleted_at=None)
    align()
    return len(rows)


def align(group: TagGroup | None = None) -> None:
    """Let marks go the way that their group's direction says, of all groups or of one. What opens is looked through
    anew by `tag_catalogue`. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIGN, {"group": group.pk if group else None})


def codes(corp: Corp) -> dict[str, str]:
    """Our tag's code by the corp tag's id, of those whose marks come in."""
    rows = CorpTag.objects.filter(corp=corp, ours__isnull=False, incoming=True)
    return dict(rows.values_list("tag_id", "ours__code"))


def code_of(tag_id: str) -> str:
    """The code that a tag of ours gets which a tag of the corp brought."""
    return f"wecom_{tag_id}"[:64]


def _cut(name: str) -> str:
    return name[:NAME_LIMIT]


def _places(corp: Corp, living: list[ToldGroup]) -> dict[str, _Place]:
    """The group of ours for each of WeCom's: the one it was before, else the one of its name, else a new one."""
    ids = [group.group_id for group in living]
    links = CorpTagGroup.objects.filter(corp=corp, group_id__in=ids, ours__isnull=False).select_related("ours")
    known = {row.group_id: row for row in links}
    _follow_group_names(known, living, _asked(corp, "group"))
    ours = {row.group_id: row.ours for row in known.values() if row.ours is not None}
    fresh = [group for group in living if group.group_id not in ours]
    names = {_cut(group.group_name) for group in fresh}
    TagGroup.objects.bulk_create([TagGroup(name=name, position=0) for name in sorted(names)], ignore_conflicts=True)
    by_name = {group.name: group for group in TagGroup.objects.filter(name__in=names)}
    ours |= {group.group_id: by_name[_cut(group.group_name)] for group in fresh}
    CorpTagGroup.objects.bulk_create(
        [
            CorpTagGroup(corp=corp, group_id=group.group_id, name=group.group_name, ours=ours[group.group_id])
            for group in fresh
        ],
        update_conflicts=True,
        unique_fields=["corp", "group_id"],
        update_fields=["name", "ours"],
    )
    chosen = directions(group.pk for group in ours.values())
    return {
        group.group_id: _Place(group, ours[group.group_id], chosen.get(ours[group.group_id].pk, "")) for group in living
    }


def directions(groups: Iterable[int]) -> dict[int, str]:
    """What was chosen for groups of ours, by id; those for which nobody chose are missing."""
    rows = TagDirection.objects.filter(group__in=list(groups))
    return dict(rows.values_list("group_id", "direction"))


def _follow_group_names(known: Mapping[str, CorpTagGroup], living: list[ToldGroup], asked: Mapping[int, str]) -> None:
    chosen = directions(row.ours_id for row in known.values() if row.ours_id)
    changed: list[CorpTagGroup] = []
    wanted: dict[int, tuple[TagGroup, str]] = {}
    for group in living:
        row = known.get(group.group_id)
        if row is None or row.ours is None:
            continue
        name, before = _cut(group.group_name), _cut(row.name)
        direction = chosen.get(row.ours.pk, "")
        moved = name != before and name != asked.get(row.ours.pk)
        if (direction == TagDirection.INWARD and row.ours.name != name) or (
            moved and (direction == TagDirection.BOTH or (not direction and row.ours.name == before))
        ):
            wanted[row.ours.pk] = (row.ours, name)
        if row.name != group.group_name:
            row.name = group.group_name
            changed.append(row)
    CorpTagGroup.objects.bulk_update(changed, ["name"])
    taken = set(TagGroup.objects.exclude(pk__in=wanted).values_list("name", flat=True))
    _rename(TagGroup.objects.all(), [(one, name) for one, name in wanted.values() if name not in taken])


def _link(corp: Corp, rows: list[tuple[_Place, ToldTag]], known: Mapping[str, CorpTag]) -> None:
    """Find the tag of ours for each that is new, or had none; where the direction lets it come in, make one."""
    without = {tag_id for tag_id, row in known.items() if row.ours is None}
    open_rows = [(place, tag) for place, tag in rows if tag.id not in known or tag.id in without]
    coming = [one for one in open_rows if one[0].direction in TagDirection.COMES_IN and one[1].id not in known]
    made = [Tag(group=place.ours, name=_cut(tag.name), code=code_of(tag.id)) for place, tag in coming]
    Tag.objects.bulk_create(made, ignore_conflicts=True)  # one that has a namesake in its group is the same
    groups = {place.ours.pk: place.direction for place, _tag in open_rows}
    kept = set(KeptTag.objects.filter(tag__group__in=groups).values_list("tag_id", flat=True))
    found = Tag.objects.filter(group__in=groups)
    names = {
        (tag.group_id, tag.name): tag
        for tag in found
        if tag.pk not in kept or groups[tag.group_id] in TagDirection.GOES_OUT
    }
    by_code = {tag.code: tag for tag in Tag.objects.filter(code__in=[code_of(tag.id) for _place, tag in open_rows])}
    fresh: list[CorpTag] = []
    linked: list[CorpTag] = []
    for place, tag in open_rows:
        ours = by_code.get(code_of(tag.id)) or names.get((place.ours.pk, _cut(tag.name)))
        if tag.id not in known:
            fresh.append(
                CorpTag(
                    corp=corp,
                    tag_id=tag.id,
                    group_id=place.told.group_id,
                    name=tag.name,
                    position=tag.order,
                    ours=ours,
                )
            )
        elif ours is not None:
            known[tag.id].ours = ours
            linked.append(known[tag.id])
    CorpTag.objects.bulk_create(fresh, ignore_conflicts=True)
    CorpTag.objects.bulk_update(linked, ["ours"])


def _follow_names(rows: list[tuple[CorpTag, _Place, ToldTag]], asked: Mapping[int, str]) -> None:
    """A tag that was renamed or moved in WeCom: ours follows the name as the direction says, where nothing has it."""
    changed: list[CorpTag] = []
    wanted: dict[int, tuple[Tag, str]] = {}
    for row, place, tag in rows:
        if row.ours is not None and _follows(row, row.ours, place.direction, tag, asked):
            wanted[row.ours.pk] = (row.ours, _cut(tag.name))
        if (row.name, row.group_id, row.position) != (tag.name, place.told.group_id, tag.order):
            row.name, row.group_id, row.position = tag.name, place.told.group_id, tag.order
            changed.append(row)
    CorpTag.objects.bulk_update(changed, ["name", "group_id", "position"])
    groups = {tag.group_id for tag, _name in wanted.values()}
    taken = set(Tag.objects.filter(group__in=groups).exclude(pk__in=wanted).values_list("group_id", "name"))
    _rename(Tag.objects.all(), [(tag, name) for tag, name in wanted.values() if (tag.group_id, name) not in taken])


def _follows(row: CorpTag, ours: Tag, direction: str, tag: ToldTag, asked: Mapping[int, str]) -> bool:
    name = _cut(tag.name)
    if direction == TagDirection.INWARD:
        return ours.name != name
    if row.name == tag.name or name == asked.get(ours.pk):
        return False  # nobody renamed it there, or we did
    return direction == TagDirection.BOTH or (not direction and ours.code == code_of(row.tag_id))


def _rename(rows: QuerySet[Any], some: list[tuple[Any, str]]) -> None:
    """Names may be swapped among them: they step aside first."""
    for aside in (True, False) if some else ():
        for one, name in some:
            one.name = f"~{one.pk}" if aside else name
        rows.bulk_update([one for one, _name in some], ["name"])


def _asked(corp: Corp, what: str) -> dict[int, str]:
    """The names that we asked WeCom to give, where the answer is not known yet."""
    rows = TagStep.objects.filter(corp=corp, state__in=(TagStep.ASKING, TagStep.UNKNOWN), verb=TagStep.RENAME)
    return dict(rows.exclude(**{what: None}).values_list(f"{what}_id", "name"))


# Marks of a tag that a rule keeps never come in: the rule alone says who wears it.
_ALIGN = """
update wecom_corptag c set incoming = w.incoming, outgoing = w.outgoing,
  read_anew = w.incoming and (c.read_anew or not c.incoming),
  queue_anew = w.outgoing and (c.queue_anew or not c.outgoing)
from (select c.id, k.tag_id is null and coalesce(d.direction, 'both') in ('in', 'both') as incoming,
        case when k.tag_id is null then coalesce(d.direction, 'both') else d.direction end in ('out', 'both')
          is true as outgoing
      from wecom_corptag c join customers_tag t on t.id = c.ours_id
      left join wecom_tagdirection d on d.group_id = t.group_id
      left join customers_kepttag k on k.tag_id = t.id
      where %(group)s::bigint is null or t.group_id = %(group)s) w
where w.id = c.id and (c.incoming, c.outgoing) is distinct from (w.incoming, w.outgoing)
"""
