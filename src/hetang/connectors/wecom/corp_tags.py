"""Tags of the corp and ours: which is which. WeCom's groups and tags become ours by their names."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from hetang.connectors.wecom.client import Client
from hetang.connectors.wecom.models import Corp, CorpTag
from hetang.connectors.wecom.protocol.tags import CORP_TAGS, CorpTagGroup, TagQuery
from hetang.customers.kept import NOT_KEPT
from hetang.customers.models import Tag, TagGroup
from hetang.platform import clock

NAME_LIMIT = 30


def bring_in(client: Client, corp: Corp, tag_ids: Iterable[str] = (), group_ids: Iterable[str] = ()) -> int:
    """Ask for all tags of the corp, or for some, and take them over. Returns how many there are."""
    groups, tags = list(group_ids), list(tag_ids)
    found = client.call(CORP_TAGS, TagQuery(group_id=groups, tag_id=[] if groups else tags)).tag_group
    return take_over(corp, found, everything=not groups and not tags)


@transaction.atomic
def take_over(corp: Corp, groups: list[CorpTagGroup], *, everything: bool) -> int:
    """Make groups and tags of ours for those that are new, follow new names, and note what was deleted.

    A deleted tag of the corp leaves ours where it is; no mark of it goes out any more. Eight statements for any number.
    """
    living = [group for group in groups if not group.deleted]
    places = _groups(living)
    rows = [(group, tag) for group in living for tag in group.tag if not tag.deleted and group.group_name]
    known = {row.tag_id: row for row in CorpTag.objects.filter(corp=corp).select_related("ours")}
    _tags([(places[_cut(group.group_name)], tag.name, tag.id, tag.order) for group, tag in rows if tag.id not in known])
    names = {(tag.group_id, tag.name): tag for tag in Tag.objects.filter(NOT_KEPT, group__in=places.values())}
    by_code = {tag.code: tag for tag in Tag.objects.filter(code__in=[code_of(tag.id) for _group, tag in rows])}
    fresh = [
        CorpTag(
            corp=corp,
            tag_id=tag.id,
            group_id=group.group_id,
            name=tag.name,
            position=tag.order,
            ours=by_code.get(code_of(tag.id)) or names.get((places[_cut(group.group_name)].pk, _cut(tag.name))),
        )
        for group, tag in rows
        if tag.id not in known
    ]
    CorpTag.objects.bulk_create(fresh, ignore_conflicts=True)
    _follow_names([(known[tag.id], group, tag.name, tag.order) for group, tag in rows if tag.id in known])
    listed = {tag.id for _group, tag in rows}
    gone = {tag.id for group in groups for tag in group.tag if tag.deleted or group.deleted}
    if everything:
        gone |= known.keys() - listed
    CorpTag.objects.filter(corp=corp, tag_id__in=gone, deleted_at=None).update(deleted_at=clock.now())
    CorpTag.objects.filter(corp=corp, tag_id__in=listed).exclude(deleted_at=None).update(deleted_at=None)
    return len(rows)


def codes(corp: Corp) -> dict[str, str]:
    """Our tag's code by the corp tag's id, of those that are linked."""
    rows = CorpTag.objects.filter(corp=corp, ours__isnull=False)
    return dict(rows.values_list("tag_id", "ours__code"))


def code_of(tag_id: str) -> str:
    """The code that a tag of ours gets which a tag of the corp brought."""
    return f"wecom_{tag_id}"[:64]


def _cut(name: str) -> str:
    return name[:NAME_LIMIT]


def _groups(groups: list[CorpTagGroup]) -> dict[str, TagGroup]:
    names = {_cut(group.group_name): group.order for group in groups if group.group_name}
    TagGroup.objects.bulk_create([TagGroup(name=name, position=0) for name in names], ignore_conflicts=True)
    return {group.name: group for group in TagGroup.objects.filter(name__in=names)}


def _tags(rows: list[tuple[TagGroup, str, str, int]]) -> None:
    """Tags that have no namesake in their group; one that has is the same."""
    made = [Tag(group=group, name=_cut(name), code=code_of(tag_id)) for group, name, tag_id, _order in rows]
    Tag.objects.bulk_create(made, ignore_conflicts=True)


def _follow_names(rows: list[tuple[CorpTag, CorpTagGroup, str, int]]) -> None:
    """A tag that was renamed or moved in WeCom: ours follows the name where it was made for it and nothing has it."""
    changed: list[CorpTag] = []
    renamed: list[Tag] = []
    for row, group, name, order in rows:
        if row.ours is not None and row.name != name and row.ours.code == code_of(row.tag_id):
            row.ours.name = _cut(name)
            renamed.append(row.ours)
        if (row.name, row.group_id, row.position) != (name, group.group_id, order):
            row.name, row.group_id, row.position = name, group.group_id, order
            changed.append(row)
    CorpTag.objects.bulk_update(changed, ["name", "group_id", "position"])
    taken = set(Tag.objects.filter(group__in=[tag.group_id for tag in renamed]).values_list("group_id", "name"))
    Tag.objects.bulk_update([tag for tag in renamed if (tag.group_id, tag.name) not in taken], ["name"])
