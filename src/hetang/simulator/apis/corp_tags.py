"""Corp tags, rule-group tags and marking (reference section 8)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import events, tags
from hetang.simulator.apis.contacts import pair
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError
from hetang.simulator.friendships import EVENT

ALL_STRATEGIES = -1


class Listing(msgspec.Struct):
    tag_id: list[str] = msgspec.field(default_factory=list)
    group_id: list[str] = msgspec.field(default_factory=list)
    strategy_id: int = 0


class NewTag(msgspec.Struct):
    name: str = ""
    order: int = 0


class Adding(msgspec.Struct):
    group_id: str = ""
    group_name: str = ""
    order: int = 0
    tag: list[NewTag] = msgspec.field(default_factory=list)
    agentid: int | None = None
    strategy_id: int = 0


class Editing(msgspec.Struct):
    id: str = ""
    name: str = ""
    order: int | None = None
    agentid: int | None = None


class Deleting(msgspec.Struct):
    tag_id: list[str] = msgspec.field(default_factory=list)
    group_id: list[str] = msgspec.field(default_factory=list)
    agentid: int | None = None


class Marking(msgspec.Struct):
    userid: str = ""
    external_userid: str = ""
    add_tag: list[str] = msgspec.field(default_factory=list)
    remove_tag: list[str] = msgspec.field(default_factory=list)


@api("externalcontact/get_corp_tag_list", "POST", Listing)
def get_corp_tag_list(call: Call, request: Listing) -> dict[str, Any]:
    return {"tag_group": tags.catalogue(call.db, 0, request.tag_id, request.group_id)}


@api("externalcontact/get_strategy_tag_list", "POST", Listing)
def get_strategy_tag_list(call: Call, request: Listing) -> dict[str, Any]:
    wanted = request.strategy_id or ALL_STRATEGIES
    return {"tag_group": tags.catalogue(call.db, wanted, request.tag_id, request.group_id)}


@api("externalcontact/add_corp_tag", "POST", Adding)
def add_corp_tag(call: Call, request: Adding) -> dict[str, Any]:
    return _add(call, request, 0)


@api("externalcontact/add_strategy_tag", "POST", Adding)
def add_strategy_tag(call: Call, request: Adding) -> dict[str, Any]:
    if request.strategy_id <= 0:
        raise WeComError(40058, "strategy_id")
    return _add(call, request, request.strategy_id)


@api("externalcontact/edit_corp_tag", "POST", Editing)
def edit_corp_tag(call: Call, request: Editing) -> dict[str, Any]:
    return _edit(call, request, 0)


@api("externalcontact/edit_strategy_tag", "POST", Editing)
def edit_strategy_tag(call: Call, request: Editing) -> dict[str, Any]:
    return _edit(call, request, ALL_STRATEGIES)


@api("externalcontact/del_corp_tag", "POST", Deleting)
def del_corp_tag(call: Call, request: Deleting) -> dict[str, Any]:
    return _delete(call, request, 0)


@api("externalcontact/del_strategy_tag", "POST", Deleting)
def del_strategy_tag(call: Call, request: Deleting) -> dict[str, Any]:
    return _delete(call, request, ALL_STRATEGIES)


@api("externalcontact/mark_tag", "POST", Marking)
def mark_tag(call: Call, request: Marking) -> dict[str, Any]:
    row = pair(call, request.userid, request.external_userid)
    if tags.mark(call.db, row, request.add_tag, request.remove_tag):
        fields = {"UserID": row["userid"], "ExternalUserID": row["external_userid"]}
        events.queue_of_api(call.state, call.db, EVENT, "edit_external_contact", fields)
    return {}


def _add(call: Call, request: Adding, strategy: int) -> dict[str, Any]:
    wanted = [(one.name, one.order) for one in request.tag]
    group, made = _shelf(call, request.agentid, strategy).add(
        request.group_id, request.group_name, request.order, wanted
    )
    (found,) = tags.catalogue(call.db, strategy, made, [])
    return {"tag_group": {**found, "group_id": group}}


def _edit(call: Call, request: Editing, strategy: int) -> dict[str, Any]:
    if not request.id:
        raise WeComError(40068)
    _shelf(call, request.agentid, strategy).edit(request.id, request.name, request.order)
    return {}


def _delete(call: Call, request: Deleting, strategy: int) -> dict[str, Any]:
    if not request.tag_id and not request.group_id:
        raise WeComError(40063, "tag_id and group_id")
    _shelf(call, request.agentid, strategy).delete(request.tag_id, request.group_id)
    return {}


def _shelf(call: Call, agentid: int | None, strategy: int) -> tags.Shelf:
    if agentid and agentid != call.agentid:
        raise WeComError(40056)
    return tags.Shelf(call.state, call.db, call.agentid, strategy)
