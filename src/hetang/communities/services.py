"""Verbs on group chats: what a platform tells of them is written by sets, a few statements for many groups.

Idempotent, and in any order: a word that is older than what is written changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction

from hetang.communities.models import GroupChat
from hetang.communities.rules import NAME_LIMIT, GroupTold, Leave
from hetang.facts import refusals
from hetang.facts.intake import Draft
from hetang.platform import clock, organisation
from hetang.resources.models import Store


@transaction.atomic
def keep(groups: Sequence[GroupTold]) -> int:
    """Write whole groups with their members; who is no longer among them has left by then. Returns how many changed.

    About 30 microseconds a member who is new, 5 for one who is known. Hand over some thousand members at a time, so
    that the transaction stays below a second.
    """
    if not groups:
        return 0
    newest = {one.chat_id: one for one in sorted(groups, key=lambda one: one.told_at)}
    objected = _objected(newest.values())
    rows = [
        {
            **{
                "chat": one.chat_id,
                "corp": one.corpid,
                "name": one.name[:NAME_LIMIT],
                "owner": one.owner,
                "made": one.made_at,
            },
            **{"version": one.version, "status": one.status, "at": one.told_at, "simulated": one.simulated},
            "size": len(one.members),
            "customers": sum(1 for stay in one.members if not stay.is_staff),
        }
        for one in newest.values()
    ]
    members = [
        {
            **{"chat": one.chat_id, "member": stay.member, "joined": stay.joined_at, "staff": stay.is_staff},
            **{"scene": stay.join_scene, "by": stay.invited_by, "state": stay.channel_state[:64]},
        }
        for one in newest.values()
        for stay in one.members
        if stay.member not in objected
    ]
    params: dict[str, Any] = {"root": organisation.root().pk, "zone": clock.zone().key, "groups": _json(rows)}
    params["rows"] = _json(members)
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, params)
        taken = [row[0] for row in cursor.fetchall()]  # those for which this is the newest word
        cursor.execute(_STAYS_BEGIN, {**params, "taken": taken})
        cursor.execute(_STAYS_END, {**params, "taken": taken})
    return len(taken)


@transaction.atomic
def note_leaves(leaves: Iterable[Leave]) -> None:
    """Say when and how somebody left, where a word on the whole group has not done so or said it later."""
    rows = [{"chat": one.chat_id, "member": one.member, "at": one.left_at, "scene": one.quit_scene} for one in leaves]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_LEAVES, {"rows": _json(rows), "zone": clock.zone().key})


@transaction.atomic
def dissolve(chat_ids: Sequence[str], at: datetime) -> int:
    """Note that groups are no more; everybody left with that. Returns how many were not known as dissolved."""
    gone = GroupChat.objects.filter(chat_id__in=chat_ids, dissolved_at=None)
    count = gone.filter(told_at__lte=at).update(dissolved_at=at, told_at=at, size=0, customers=0)
    with connection.cursor() as cursor:
        cursor.execute(_ALL_LEAVE, {"chats": list(chat_ids), "zone": clock.zone().key})
    return count


def place(group: GroupChat, kind: str, store: Store | None) -> None:
    """Say by hand what kind of group it is and to which store it belongs; without one it lies where its owner works."""
    owner_node = group.owner.org_node_id if group.owner else organisation.root().pk
    GroupChat.objects.filter(pk=group.pk).update(
        kind=kind,
        store=store,
        org_node_id=store.org_node_id if store else owner_node,
        placed_by_hand=store is not None,
    )


def _objected(groups: Iterable[GroupTold]) -> set[str]:
    """Members who were erased and do not want to be known again: they are counted in the size and written nowhere."""
    members = sorted({stay.member for one in groups for stay in one.members if not stay.is_staff})
    drafts = [(place, Draft("", "", clock.now(), [("external_userid", one)])) for place, one in enumerate(members)]
    return {members[place] for place in refusals.objected(drafts)}


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


_GROUPS = """
insert into communities_groupchat as g (public_id, chat_id, corpid, name, kind, owner_id, owner_userid, org_node_id,
    store_id, placed_by_hand, status, size, customers, member_version, made_at, told_at, simulated)
select gen_random_uuid(), r.chat, r.corp, r.name, '', s.id, r.owner, coalesce(s.org_node_id, %(root)s),
       s.store_id, false, coalesce(r.status, 0), r.size, r.customers, r.version, r.made, r.at, r.simulated
from jsonb_to_recordset(%(groups)s::jsonb) as r(chat text, corp text, name text, owner text, made timestamptz,
     version text, status smallint, at timestamptz, simulated boolean, size int, customers int)
left join resources_staff s on s.userid = r.owner
on conflict (chat_id) do update set
  name = excluded.name, owner_id = excluded.owner_id, owner_userid = excluded.owner_userid,
  org_node_id = case when g.placed_by_hand then g.org_node_id else excluded.org_node_id end,
  store_id = case when g.placed_by_hand then g.store_id else excluded.store_id end,
  status = excluded.status, size = excluded.size, customers = excluded.customers,
  member_version = excluded.member_version, made_at = coalesce(excluded.made_at, g.made_at), told_at = excluded.told_at,
  dissolved_at = null
where g.told_at <= excluded.told_at
returning g.chat_id
"""
_MEMBERS = """
with incoming as materialized (
  select g.id as group_id, r.* from jsonb_to_recordset(%(rows)s::jsonb)
    as r(chat text, member text, joined timestamptz, staff boolean, scene smallint, by text, state text)
  join communities_groupchat g on g.chat_id = r.chat where g.chat_id = any(%(taken)s)
)"""
# Somebody who came back meanwhile has a new stay; the old one ended when the new one began, or before.
_STAYS_BEGIN = f"""{_MEMBERS}, returned as (
  update communities_groupmember m set left_at = i.joined, left_on = (i.joined at time zone %(zone)s)::date
  from incoming i where m.group_id = i.group_id and m.member = i.member and m.left_at is null and m.joined_at < i.joined
  returning m.id
)
insert into communities_groupmember (group_id, member, is_staff, joined_at, joined_on, join_scene, invited_by,
                                     channel_state)
select i.group_id, i.member, i.staff, i.joined, (i.joined at time zone %(zone)s)::date, i.scene, i.by, i.state
from incoming i where (select count(*) from returned) >= 0
  and not exists (select from communities_groupmember m
    where m.group_id = i.group_id and m.member = i.member and m.left_at is null and m.joined_at >= i.joined)
on conflict (group_id, member, joined_at) do update set left_at = null, left_on = null, quit_scene = null
"""
_STAYS_END = f"""{_MEMBERS}
update communities_groupmember m set left_at = g.told_at, left_on = (g.told_at at time zone %(zone)s)::date
from communities_groupchat g
where g.chat_id = any(%(taken)s) and m.group_id = g.id and m.left_at is null
  and not exists (select from incoming i where i.group_id = m.group_id and i.member = m.member)
"""
# The stay that had begun by then and ends later or not yet: the last one before the leaving.
_LEAVES = """
update communities_groupmember m set
  left_at = r.at, left_on = (r.at at time zone %(zone)s)::date, quit_scene = coalesce(r.scene, m.quit_scene)
from jsonb_to_recordset(%(rows)s::jsonb) as r(chat text, member text, at timestamptz, scene smallint)
join communities_groupchat g on g.chat_id = r.chat
where m.group_id = g.id and m.member = r.member and m.joined_at <= r.at
  and m.left_at >= r.at
  and m.joined_at = (select max(n.joined_at) from communities_groupmember n
    where n.group_id = g.id and n.member = r.member and n.joined_at <= r.at)
"""
_ALL_LEAVE = """
update communities_groupmember m set left_at = greatest(g.dissolved_at, m.joined_at),
  left_on = (greatest(g.dissolved_at, m.joined_at) at time zone %(zone)s)::date
from communities_groupchat g
where g.chat_id = any(%(chats)s) and g.dissolved_at is not null and m.group_id = g.id and m.left_at is null
"""
