"""Callback bodies: reading the XML, telling events apart, and what they say. No database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from hetang.connectors.wecom.crypto import CallbackRefused

CONTACT, CHAT, TAG = "change_external_contact", "change_external_chat", "change_external_tag"
DIRECTORY, ACQUISITION = "change_contact", "customer_acquisition"
EDITED = "edit_external_contact"
# Fields that tell apart two events of the same kind and second (reference 24.2).
_IDENTITY = {
    CONTACT: ("UserID", "ExternalUserID"),
    CHAT: ("ChatId", "UpdateDetail", "CurMemVer", "MemChangeList"),
    TAG: ("Id", "TagType", "StrategyId"),
    ACQUISITION: ("LinkId", "ChatKey", "State", "UserID", "ExternalUserID"),
}
_RELATION_STATES = {
    "add_external_contact": "active",
    "add_half_external_contact": "half",
    "del_external_contact": "lost_by_staff",
    "del_follow_user": "lost_by_customer",
}


@dataclass(frozen=True)
class RelationEvent:
    """A friendship began, half began or ended."""

    userid: str
    external_userid: str
    state: str  # as in the fact relation.changed
    at: datetime
    channel_state: str


def fields_of(xml: str) -> dict[str, str]:
    """Top-level elements by name; one that holds items has them joined by commas. Raises CallbackRefused for what is
    not plain XML."""
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise CallbackRefused("doctype")
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - no DOCTYPE comes this far
    except ElementTree.ParseError:
        raise CallbackRefused("xml") from None
    return {child.tag: _text(child) for child in root}


def _text(element: ElementTree.Element) -> str:
    if len(element):
        return ",".join((item.text or "").strip() for item in element)
    return (element.text or "").strip()


def dedupe_key(fields: dict[str, str]) -> str:
    """The same for every delivery of one event, different for two events of the same second."""
    event = fields.get("Event", "")
    if fields.get("MsgId"):
        parts = ["msg", fields["MsgId"]]
    elif event in _IDENTITY:
        names = ("ToUserName", "Event", "ChangeType", "CreateTime", *_IDENTITY[event])
        parts = [fields.get(name, "") for name in names]
    else:
        parts = [f"{name}={fields[name]}" for name in sorted(fields)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=32).hexdigest()


def at_of(fields: dict[str, str]) -> datetime | None:
    """When WeCom says it happened; None for what is no time."""
    created = fields.get("CreateTime", "")
    if not created.isdigit() or len(created) > 10:
        return None
    return datetime.fromtimestamp(int(created), UTC)


def relation_event(fields: dict[str, str]) -> RelationEvent | None:
    """What an event says about a friendship; None if it is about something else or lacks a field."""
    state = _RELATION_STATES.get(fields.get("ChangeType", ""))
    at = at_of(fields)
    if fields.get("Event") != CONTACT or state is None or at is None:
        return None
    userid, external = fields.get("UserID", ""), fields.get("ExternalUserID", "")
    if not userid or not external:
        return None
    return RelationEvent(userid, external, state, at, fields.get("State", "")[:64])
