"""What is asked of WeCom in a sync, part by part, and what cannot be told is skipped with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hetang.communities.models import GroupChat
from hetang.communities.rules import GroupTold, Stay
from hetang.connectors.wecom.client import Client
from hetang.connectors.wecom.errors import NO_RELATION, OF_ONE_MEMBER, WeComError, is_licence
from hetang.connectors.wecom.feed import Patience
from hetang.connectors.wecom.models import Corp, Skipped, SyncPart, SyncRun
from hetang.connectors.wecom.protocol.contacts import (
    CUSTOMERS,
    CUSTOMERS_PER_PAGE,
    MEMBERS_PER_CALL,
    ContactOfMember,
    ContactsOfMembers,
    MembersRequest,
)
from hetang.connectors.wecom.protocol.groups import (
    GROUP,
    GROUPS,
    GROUPS_PER_PAGE,
    OWNERS_PER_CALL,
    Group,
    GroupRequest,
    GroupsRequest,
    OwnerFilter,
)
from hetang.platform import clock

GROUPS_PER_PART = 100
_TOO_MANY_OWNERS = 81017
GROUP_GONE = frozenset({86001, 86003, 90501, 301002, 50002, 60011, 84061, 40050})
_OF_CORP = 1
REASONS = {
    84074: "no_customer_contact",
    60111: "unknown_member",
    40003: "unknown_member",
    301021: "unknown_member",
    50002: "out_of_range",
    60011: "out_of_range",
    41054: "not_activated",
    40098: "not_real_named",
    86001: "group_gone",
    86003: "group_gone",
    90501: "not_a_customer_group",
}


@dataclass
class Found:
    """Something that a part brought, and where the part goes on after it (`last`: it is finished)."""

    part: SyncPart
    cursor: str
    last: bool
    asked_at: datetime
    customers: list[ContactOfMember] = field(default_factory=list)
    group: Group | None = None
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many rows it is to keep."""
        return len(self.customers) + (len(self.group.member_list) if self.group else 0) + 1


def parts(run: SyncRun, members: Sequence[str], groups: dict[int, list[str]], *, at_once: int) -> Iterator[SyncPart]:
    """Parts of both kinds: small enough that every call's place is used until the end."""
    size = max(1, min(MEMBERS_PER_CALL, math.ceil(len(members) / (4 * max(1, at_once)))))
    for start in range(0, len(members), size):
        yield SyncPart(run=run, kind=SyncPart.CUSTOMERS, ids=members[start : start + size])
    for status, ids in groups.items():
        for start in range(0, len(ids), GROUPS_PER_PART):
            yield SyncPart(run=run, kind=SyncPart.GROUPS, ids=ids[start : start + GROUPS_PER_PART], status=status)


def groups_listed(client: Client, members: Sequence[str]) -> dict[int, list[str]]:
    """Ids of all groups by status. Where WeCom wants the owners named, they are, a hundred at a time."""
    try:
        return _groups(client, None)
    except WeComError as problem:
        if problem.code != _TOO_MANY_OWNERS:
            raise
    found: dict[int, list[str]] = {}
    for start in range(0, len(members), OWNERS_PER_CALL):
        owners = OwnerFilter(userid_list=list(members[start : start + OWNERS_PER_CALL]))
        for status, ids in _groups(client, owners).items():
            found.setdefault(status, []).extend(ids)
    return found


def _groups(client: Client, owners: OwnerFilter | None) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for page in client.pages(GROUPS, GroupsRequest(limit=GROUPS_PER_PAGE, owner_filter=owners), GROUPS_PER_PAGE):
        for one in page.group_chat_list:
            found.setdefault(one.status, []).append(one.chat_id)
    return found


def groups_gone(corp: Corp, run: SyncRun) -> list[str]:
    """Ids of groups that are known as alive and were not in this run's list."""
    listed = SyncPart.objects.filter(run=run, kind=SyncPart.GROUPS).values_list("ids", flat=True)
    seen = {chat_id for ids in listed.iterator() for chat_id in ids}
    living = GroupChat.objects.filter(corpid=corp.corpid, dissolved_at=None, told_at__lt=run.begun_at)
    return [chat_id for chat_id in living.values_list("chat_id", flat=True).iterator() if chat_id not in seen]


def ask(client: Client, part: SyncPart, patience: Patience) -> Iterator[Found]:
    """Everything of a part from its cursor on."""
    yield from _ask_groups(client, part, patience) if part.kind == SyncPart.GROUPS else _ask(client, part, patience)


def _ask(client: Client, part: SyncPart, patience: Patience) -> Iterator[Found]:
    """Pages of the members together; one by one where one of them spoils the call for all (`number|cursor`)."""
    number, bar, cursor = part.cursor.partition("|")
    if not bar:
        try:
            yield from _pages(client, part, part.ids, part.cursor, patience, prefix="", last=True)
            return
        except WeComError as problem:
            if not _of_one_member(problem.code):
                raise
    for place in range(int(number) if bar else 0, len(part.ids)):
        last = place + 1 == len(part.ids)
        try:
            yield from _pages(
                client, part, [part.ids[place]], cursor if bar else "", patience, prefix=f"{place}|", last=last
            )
        except WeComError as problem:
            if not _of_one_member(problem.code):
                raise
            skipped = [] if problem.code == NO_RELATION else [_skipped("member", part.ids[place], problem.code)]
            yield Found(part, f"{place + 1}|", last, clock.now(), skipped=skipped)
        cursor = ""


def _pages(
    client: Client,
    part: SyncPart,
    members: list[str],
    cursor: str,
    patience: Patience,
    *,
    prefix: str,
    last: bool,
) -> Iterator[Found]:
    limit = CUSTOMERS_PER_PAGE
    while True:
        asked_at = clock.now()
        asked = MembersRequest(userid_list=members, cursor=cursor)
        page, limit = patience(lambda asked=asked, limit=limit: client.page(CUSTOMERS, asked, limit))  # type: ignore[misc]
        cursor = page.next_cursor
        after = f"{prefix}{cursor}" if cursor or not prefix else f"{int(prefix[:-1]) + 1}|"
        yield Found(part, after, last and not cursor, asked_at, page.external_contact_list, skipped=_unlicensed(page))
        if not cursor:
            return


def _unlicensed(page: ContactsOfMembers) -> list[Skipped]:
    return [_skipped("member", userid, 701008) for userid in page.fail_info.unlicensed_userid_list]


def _ask_groups(client: Client, part: SyncPart, patience: Patience) -> Iterator[Found]:
    for place in range(int(part.cursor or 0), len(part.ids)):
        after, last = str(place + 1), place + 1 == len(part.ids)
        asked_at = clock.now()
        try:
            asked = GroupRequest(chat_id=part.ids[place])
            answer = patience(lambda asked=asked: client.call(GROUP, asked))  # type: ignore[misc]
        except WeComError as problem:
            if problem.code not in GROUP_GONE:
                raise
            yield Found(part, after, last, asked_at, skipped=[_skipped("group", part.ids[place], problem.code)])
            continue
        yield Found(part, after, last, asked_at, group=answer.group_chat)


def told(group: Group, corp: Corp, told_at: datetime, status: int | None) -> GroupTold:
    """A group as the room of groups wants it."""
    return GroupTold(
        chat_id=group.chat_id,
        corpid=corp.corpid,
        told_at=told_at,
        name=group.name,
        owner=group.owner,
        made_at=datetime.fromtimestamp(group.create_time, UTC) if group.create_time else None,
        version=group.member_version,
        status=status,
        simulated=corp.simulated,
        members=[
            Stay(
                member=one.userid,
                joined_at=datetime.fromtimestamp(one.join_time, UTC),
                is_staff=one.type == _OF_CORP,
                join_scene=one.join_scene,
                invited_by=one.invitor.userid,
                channel_state=one.state,
            )
            for one in group.member_list
        ],
    )


def refused(key: str, reason: str) -> Skipped:
    """A friendship that our own door did not take: its fact's key and the reason."""
    return Skipped(kind="customer", name=key[:130], reason=reason[:40])


def _of_one_member(code: int) -> bool:
    return code in OF_ONE_MEMBER or is_licence(code)


def _skipped(kind: str, name: str, code: int) -> Skipped:
    reason = "no_licence" if is_licence(code) else REASONS.get(code, "refused")
    return Skipped(kind=kind, name=name[:130], reason=reason, code=code)
