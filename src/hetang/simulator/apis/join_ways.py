"""Join ways of customer groups (reference section 6)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator.apis import ways
from hetang.simulator.apis.groups import chat_row
from hetang.simulator.apis.ways import JOIN, ConfigId
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

QR_CODE = 2
MOST_GROUPS = 5
LONGEST_NAME, LONGEST_TEXT = 40, 30


class JoinWay(msgspec.Struct):
    scene: int | None = None
    remark: str = ""
    auto_create_room: int = 1
    room_base_name: str = ""
    room_base_id: int = 1
    chat_id_list: list[str] = msgspec.field(default_factory=list)
    state: str = ""
    mark_source: bool = True


class Update(JoinWay):
    """Everything is overwritten: a field left out goes back to its default."""

    config_id: str = ""


@api("externalcontact/groupchat/add_join_way", "POST", JoinWay)
def add_join_way(call: Call, request: JoinWay) -> dict[str, Any]:
    return {"config_id": ways.store(call, JOIN, _checked(call, request))}


@api("externalcontact/groupchat/get_join_way", "POST", ConfigId)
def get_join_way(call: Call, request: ConfigId) -> dict[str, Any]:
    row, body = ways.load(call, JOIN, request.config_id)
    body.pop("made", None)
    found = {"config_id": row["config_id"], **body}
    if body["scene"] == QR_CODE:
        found["qr_code"] = call.picture("join", row["config_id"])
    return {"join_way": found}


@api("externalcontact/groupchat/update_join_way", "POST", Update)
def update_join_way(call: Call, request: Update) -> dict[str, Any]:
    _, before = ways.load(call, JOIN, request.config_id)
    body = _checked(call, request)
    body.pop("config_id")
    ways.change(call, request.config_id, {**body, "made": before.get("made", [])})
    return {}


@api("externalcontact/groupchat/del_join_way", "POST", ConfigId)
def del_join_way(call: Call, request: ConfigId) -> dict[str, Any]:
    ways.delete(call, JOIN, request.config_id)
    return {}


def _checked(call: Call, way: JoinWay) -> dict[str, Any]:
    if way.scene is None:
        raise WeComError(41038)
    if way.scene not in {1, QR_CODE}:
        raise WeComError(41040)
    if not 1 <= len(way.chat_id_list) <= MOST_GROUPS:
        raise WeComError(40058, f"chat_id_list must have 1 to {MOST_GROUPS} groups")
    if way.auto_create_room not in {0, 1}:
        raise WeComError(40058, "auto_create_room")
    if len(way.room_base_name) > LONGEST_NAME or len(way.state) > LONGEST_TEXT:
        raise WeComError(40058, "room_base_name or state is too long")
    for chat_id in way.chat_id_list:
        chat_row(call, chat_id)
    body: dict[str, Any] = msgspec.to_builtins(way)
    return {**body, "remark": way.remark[:LONGEST_TEXT]}  # longer ones are cut, not refused
