"""What each family of events changes (reference 24.4 to 24.8). Each asks first and writes then, by sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from hetang.communities import services as communities
from hetang.communities.rules import GroupTold, Leave
from hetang.connectors.wecom import corp_tags, directory, listing
from hetang.connectors.wecom.asking import Answer, Asked
from hetang.connectors.wecom.events import EDITED, RelationEvent, at_of, relation_event
from hetang.connectors.wecom.handover import following
from hetang.connectors.wecom.models import App, CallbackMessage, CorpNotice, HandoverItem, Pair
from hetang.connectors.wecom.pairs import SOURCE, digest, told_pairs
from hetang.connectors.wecom.protocol.contacts import Contact, Follow
from hetang.connectors.wecom.protocol.groups import OneGroup
from hetang.connectors.wecom.protocol.tags import CORP_TAGS, CorpTags, TagQuery
from hetang.connectors.wecom.relations import ensure_staff, relation_draft, second, tag_drafts, who
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import clock

Read = list[tuple[CallbackMessage, dict[str, str]]]
_STANDINGS = {
    "active": Pair.LISTED,
    "half": Pair.HALF,
    "lost_by_customer": Pair.LOST,
    "lost_by_staff": Pair.GONE,
}
_KEPT = (
    "UserID",
    "ExternalUserID",
    "LinkId",
    "State",
    "FailReason",
    "ExpireTime",
    "ExpireQuotaNum",
    "OpenKfId",
    "JobId",
)


@dataclass
class Outcome:
    """Messages that were applied, and those that wait, with the reason. The rest says nothing that we keep."""

    applied: set[int] = field(default_factory=set)
    waiting: dict[int, str] = field(default_factory=dict)


class PairEvents:
    """Friendships that began or ended, and remarks and tags that a person changed in WeCom."""

    def __init__(self, app: App, read: Read, outcome: Outcome) -> None:
        self._app, self._outcome = app, outcome
        self._relations: list[tuple[CallbackMessage, RelationEvent]] = []
        self._edits: list[tuple[CallbackMessage, str, str]] = []
        self._answers: dict[str, Answer[Contact]] = {}
        others: Read = []
        self._handed = {
            fields["ExternalUserID"]
            for _, fields in read
            if fields.get("ExternalUserID")
            and (fields.get("ChangeType") == "transfer_fail" or fields.get("Source") == "DELETE_BY_TRANSFER")
        }
        for message, fields in read:
            event = relation_event(fields)
            if event is not None:
                self._relations.append((message, event))
            elif fields.get("ChangeType") == EDITED and fields.get("UserID") and fields.get("ExternalUserID"):
                self._edits.append((message, fields["UserID"], fields["ExternalUserID"]))
            elif fields.get("ChangeType") in {"transfer_fail", "msg_audit_approved"}:
                others.append((message, fields))
        self._others = others

    def ask(self, asked: Asked) -> None:
        wanted = {event.external_userid for _, event in self._relations if event.state == "active"}
        self._answers = asked.customers(wanted | {external for _, _, external in self._edits})

    def write(self) -> None:
        corp = self._app.corp
        members = {event.userid for _, event in self._relations} | {userid for _, userid, _ in self._edits}
        ensure_staff(members, simulated=corp.simulated)
        drafts = [self._relation(message, event) for message, event in self._relations]
        drafts += self._changed_tags()
        for start in range(0, len(drafts), 1000):
            intake.record(SOURCE, drafts[start : start + 1000], "callback")
        note(self._app, self._others, self._outcome)
        following.prompt(corp, HandoverItem.CUSTOMER, self._handed)

    def _relation(self, message: CallbackMessage, event: RelationEvent) -> Draft:
        self._outcome.applied.add(message.pk)
        answer = self._answers.get(event.external_userid) if event.state == "active" else None
        return relation_draft(
            key=f"event:{message.dedupe_key}",
            event=event,
            contact=answer.value if answer else None,
            simulated=self._app.corp.simulated,
        )

    def _changed_tags(self) -> list[Draft]:
        """Bring the mirror up to date, and say what its tags had not."""
        corp = self._app.corp
        standings = [self._standing(event) for _, event in self._relations]
        seen: dict[tuple[str, str], tuple[Answer[Contact], Follow, str]] = {}
        for message, event in self._relations:
            self._see(seen, event.userid, event.external_userid, message)
        for message, userid, external in self._edits:
            answer = self._answers[external]
            if answer.silence:
                self._outcome.waiting[message.pk] = answer.silence
                continue
            self._outcome.applied.add(message.pk)
            self._see(seen, userid, external, message)
        told_pairs(corp, standings)
        codes = corp_tags.codes(corp) if seen else {}
        drafts: list[Draft] = []
        for (userid, external), before in _mirror_tags(corp.pk, seen).items():
            answer, follow, key = seen[userid, external]
            if before is None:
                continue  # something newer was said of them meanwhile
            contact = answer.value.external_contact if answer.value else None
            drafts += tag_drafts(
                corp, who(external, contact), before=before, after=follow.tag_ids, codes=codes, at=answer.at, key=key
            )
        return drafts

    def _see(
        self,
        seen: dict[tuple[str, str], tuple[Answer[Contact], Follow, str]],
        userid: str,
        external: str,
        message: CallbackMessage,
    ) -> None:
        answer = self._answers.get(external)
        for follow in answer.value.follow_user if answer and answer.value else []:
            if answer is not None and follow.userid == userid:
                seen[userid, external] = (answer, follow, message.dedupe_key)

    def _standing(self, event: RelationEvent) -> tuple[str, str, str, datetime, datetime]:
        at = second(int(event.at.timestamp()), event.state)
        return event.userid, event.external_userid, _STANDINGS[event.state], at, event.at


def _mirror_tags(
    corp_id: int, seen: dict[tuple[str, str], tuple[Answer[Contact], Follow, str]]
) -> dict[tuple[str, str], list[str] | None]:
    """Write tags and digest of pairs as they were seen; returns the tags that stood there, None where the mirror is
    newer than what was seen (our own mark, for one)."""
    found: dict[tuple[str, str], list[str] | None] = {}
    if not seen:
        return found
    userids, externals = zip(*seen, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.id, p.userid, p.external_userid, p.tags, greatest(p.told_at, p.marked_at) from wecom_pair p"
            " join unnest(%s::text[], %s::text[]) as n(userid, external_userid) using (userid, external_userid)"
            " where p.corp_id = %s order by p.id for update of p",
            [list(userids), list(externals), corp_id],
        )
        changes = []
        for pair_id, userid, external, tags, newest in cursor.fetchall():
            answer, follow, _ = seen[userid, external]
            if newest > answer.at:
                found[userid, external] = None
                continue
            found[userid, external] = tags
            contact = answer.value.external_contact if answer.value else None
            told = digest(contact, follow) if contact else b""
            changes.append((pair_id, told, sorted(follow.tag_ids)))
        cursor.executemany(
            "update wecom_pair set digest = %s, tags = %s where id = %s",
            [(told, tags, pair_id) for pair_id, told, tags in changes],
        )
    return found


class GroupEvents:
    """Groups that were made, changed or dissolved: each is asked for once, whatever happened in it."""

    def __init__(self, app: App, read: Read, outcome: Outcome) -> None:
        self._app, self._outcome = app, outcome
        self._read = [(message, fields) for message, fields in read if fields.get("ChatId") and at_of(fields)]
        self._answers: dict[str, Answer[OneGroup]] = {}

    def ask(self, asked: Asked) -> None:
        dissolved = {fields["ChatId"] for _, fields in self._read if fields.get("ChangeType") == "dismiss"}
        self._answers = asked.groups({fields["ChatId"] for _, fields in self._read} - dissolved)

    def write(self) -> None:
        told: list[GroupTold] = []
        gone: dict[str, datetime] = {}
        for chat_id, answer in self._answers.items():
            if answer.value is not None and answer.value.group_chat is not None:
                told.append(listing.told(answer.value.group_chat, self._app.corp, answer.at, None))
            elif answer.code in listing.GROUP_GONE:
                gone[chat_id] = answer.at
        leaves: list[Leave] = []
        for message, fields in self._read:
            self._settle(message, fields, gone)
            leaves += _leaves(fields)
        communities.keep(told)
        communities.note_leaves(leaves)
        handed = {fields["ChatId"] for _, fields in self._read if fields.get("UpdateDetail") == "change_owner"}
        following.prompt(self._app.corp, HandoverItem.GROUP, handed)
        for chat_id, at in gone.items():
            communities.dissolve([chat_id], at)

    def _settle(self, message: CallbackMessage, fields: dict[str, str], gone: dict[str, datetime]) -> None:
        at = at_of(fields)
        answer = self._answers.get(fields["ChatId"])
        if fields.get("ChangeType") == "dismiss" and at is not None:
            gone[fields["ChatId"]] = at
        elif answer is not None and answer.silence:
            self._outcome.waiting[message.pk] = answer.silence
            return
        self._outcome.applied.add(message.pk)


def _leaves(fields: dict[str, str]) -> list[Leave]:
    at = at_of(fields)
    if fields.get("UpdateDetail") != "del_member" or at is None:
        return []
    scene = fields.get("QuitScene", "")
    members = [member for member in fields.get("MemChangeList", "").split(",") if member]
    return [Leave(fields["ChatId"], member, at, int(scene) if scene.isdigit() else None) for member in members]


class DirectoryEvents:
    """Members, departments and corp tags that changed."""

    def __init__(self, app: App, read: Read, tags: Read, outcome: Outcome) -> None:
        self._app, self._outcome = app, outcome
        self._members = [(message, fields) for message, fields in read if fields.get("ChangeType")]
        self._tags = tags
        self._answer: Answer[CorpTags] | None = None

    def ask(self, asked: Asked) -> None:
        if self._tags:  # one call tells of all of them, and what was deleted is what it does not tell
            self._answer = asked.once(lambda client: client.call(CORP_TAGS, TagQuery()))

    def write(self) -> None:
        directory.apply(self._app.corp, [fields for _, fields in self._members])
        self._outcome.applied |= {message.pk for message, _ in self._members}
        if self._answer is None:
            return
        if self._answer.value is not None:
            corp_tags.take_over(self._app.corp, self._answer.value.tag_group, everything=True)
        for message, _ in self._tags:
            if self._answer.silence:
                self._outcome.waiting[message.pk] = self._answer.silence
            else:
                self._outcome.applied.add(message.pk)


def note(app: App, read: Read, outcome: Outcome) -> None:
    """Keep what somebody should know: ids and figures only."""
    notices = [
        CorpNotice(
            corp=app.corp,
            kind=f"{fields.get('Event', '')}.{fields.get('ChangeType', '')}".strip(".")[:60],
            at=at_of(fields) or clock.now(),
            detail={name: fields[name][:200] for name in _KEPT if fields.get(name)},
            message=message,
        )
        for message, fields in read
    ]
    CorpNotice.objects.bulk_create(notices, ignore_conflicts=True)
    outcome.applied |= {message.pk for message, _ in read}
