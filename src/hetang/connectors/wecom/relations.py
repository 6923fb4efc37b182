"""Friendships as facts, from events and from the sync: one form for both."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from hetang.connectors.wecom import protocol
from hetang.connectors.wecom.events import RelationEvent
from hetang.facts.intake import Draft
from hetang.resources.models import Staff
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

NAME_LIMIT = 120


def relation_draft(key: str, event: RelationEvent, contact: protocol.Contact | None, *, simulated: bool) -> Draft:
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
    return Draft("relation.changed", key, event.at, who(event.external_userid, person), body, name=_name(person))


def listed_draft(corpid: str, listed: protocol.ContactOfMember, *, simulated: bool) -> Draft:
    """The fact of a friendship found by the sync; the same friendship gives the same key every night."""
    follow, person = listed.follow_info, listed.external_contact
    since = datetime.fromtimestamp(follow.createtime, UTC)
    body = {
        "staff": follow.userid,
        "state": "active",
        "since": since.isoformat(),
        "add_way": follow.add_way,
        "channel_state": follow.state[:64],
        "simulated": simulated,
    }
    key = f"relation:{corpid}:{follow.userid}:{person.external_userid}:{follow.createtime}"
    return Draft("relation.changed", key, since, who(person.external_userid, person), body, name=_name(person))


def who(external_userid: str, person: protocol.ExternalContact | None) -> list[tuple[str, str]]:
    """The identities by which the person is known: external_userid first, unionid where the corp may see it."""
    found = [("external_userid", external_userid)]
    if person is not None and person.unionid:
        found.append(("unionid", person.unionid))
    return found


def ensure_staff(userids: Iterable[str], *, simulated: bool) -> None:
    """Members whom an event names and whom no sync has brought yet are made, under their userid."""
    wanted = set(userids)
    known = set(Staff.objects.filter(userid__in=wanted).values_list("userid", flat=True))
    missing = sorted(wanted - known)
    if missing:
        upsert_staff(StaffRow(userid=userid, name=userid, simulated=simulated) for userid in missing)


def _name(person: protocol.ExternalContact | None) -> str | None:
    return person.name[:NAME_LIMIT] if person is not None and person.name else None
