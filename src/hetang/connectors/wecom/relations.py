"""What friendships, names and tags are as facts, whether an event or a listing told of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hetang.connectors.wecom.events import RelationEvent
from hetang.connectors.wecom.models import Corp
from hetang.connectors.wecom.protocol.contacts import Contact, ExternalContact
from hetang.facts.intake import Draft
from hetang.resources.models import Staff
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

NAME_LIMIT = 120
# WeCom's times are whole seconds. Within one, what ends a friendship stands above what begins it; the reconciliation
# finds the rare friendship that began anew in the second in which it ended.
_RANK = {"half": 1, "active": 2, "lost_by_customer": 3, "lost_by_staff": 4}


def second(at: int, state: str) -> datetime:
    """The time of a word on a friendship: WeCom's second, with microseconds that order words of the same second."""
    return ranked(datetime.fromtimestamp(at, UTC), state)


def ranked(at: datetime, state: str) -> datetime:
    """The same for a second that is read already."""
    return at.replace(microsecond=_RANK[state])


def relation_draft(key: str, event: RelationEvent, contact: Contact | None, *, simulated: bool) -> Draft:
    """The fact of an event, enriched by the customer's details where WeCom gave them."""
    person = contact.external_contact if contact else None
    mine = [one for one in contact.follow_user if one.userid == event.userid] if contact else []
    body: dict[str, Any] = {
        "staff": event.userid,
        "state": event.state,
        "channel_state": event.channel_state,
        "simulated": simulated,
    }
    if event.state in {"active", "half"}:
        body["since"] = event.at.isoformat()
    if mine:
        body["add_way"] = mine[0].add_way
    at = second(int(event.at.timestamp()), event.state)
    return Draft("relation.changed", key, at, who(event.external_userid, person), body, name=name_of(person))


def tag_drafts(  # noqa: PLR0917 - all of it is about one pair
    corp: Corp,
    person: list[tuple[str, str]],
    before: Iterable[str],
    after: Iterable[str],
    codes: Mapping[str, str],
    at: datetime,
    key: str,
) -> Iterator[Draft]:
    """The facts of tags that somebody put on or took off a pair in WeCom. They are words on the person: what a
    colleague takes off is off, whichever colleagues had put it on. `codes`: our tag's code by the corp tag's id."""
    was, now = set(before), set(after)
    for tag_id in sorted(was ^ now):
        if tag_id in codes:
            on = tag_id in now
            body = {"tag": codes[tag_id], "on": on}
            yield Draft("tag.changed", f"tag:{corp.corpid}:{key}:{tag_id}:{int(on)}", at, person, body)


def who(external_userid: str, person: ExternalContact | None) -> list[tuple[str, str]]:
    """The identities by which the person is known: external_userid first, unionid where the corp may see it."""
    found = [("external_userid", external_userid)]
    if person is not None and person.unionid:
        found.append(("unionid", person.unionid))
    return found


def name_of(person: ExternalContact | None) -> str | None:
    """Her nickname, as far as we keep it."""
    return person.name[:NAME_LIMIT] if person is not None and person.name else None


def ensure_staff(userids: Iterable[str], *, simulated: bool) -> None:
    """Members whom an event names and whom no sync has brought yet are made, under their userid."""
    wanted = set(userids)
    known = set(Staff.objects.filter(userid__in=wanted).values_list("userid", flat=True))
    missing = sorted(wanted - known)
    if missing:
        upsert_staff(StaffRow(userid=userid, name=userid, simulated=simulated) for userid in missing)
