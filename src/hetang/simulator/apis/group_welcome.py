"""Welcome templates that owners may set in their groups (reference section 12)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator.apis.content import Text, check_body, check_text
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

MOST = 100
MAX_TEXT_BYTES = 3000
_KINDS = ("image", "link", "miniprogram", "file", "video")  # the first that is given wins


class Template(msgspec.Struct):
    template_id: str = ""
    text: Text | None = None
    image: dict[str, Any] | None = None
    link: dict[str, Any] | None = None
    miniprogram: dict[str, Any] | None = None
    file: dict[str, Any] | None = None
    video: dict[str, Any] | None = None
    agentid: int | None = None
    notify: int = 1


class TemplateId(msgspec.Struct):
    template_id: str = ""
    agentid: int | None = None


@api("externalcontact/group_welcome_template/add", "POST", Template)
def add(call: Call, request: Template) -> dict[str, Any]:
    body = _checked(call, request)
    if call.db.execute("select count(*) from group_welcome").fetchone()[0] >= MOST:
        raise WeComError(41055)
    template_id = "msg" + secrets.token_urlsafe(24)
    call.db.execute(
        "insert into group_welcome (template_id, agentid, body, created_at) values (?, ?, ?, ?)",
        [template_id, call.agentid, body, call.now],
    )
    return {"template_id": template_id}


@api("externalcontact/group_welcome_template/edit", "POST", Template)
def edit(call: Call, request: Template) -> dict[str, Any]:
    _load(call, request.template_id)
    body = _checked(call, request)
    call.db.execute("update group_welcome set body = ? where template_id = ?", [body, request.template_id])
    return {}


@api("externalcontact/group_welcome_template/get", "GET POST", TemplateId)
def get(call: Call, request: TemplateId) -> dict[str, Any]:
    return _load(call, request.template_id)


@api("externalcontact/group_welcome_template/del", "POST", TemplateId)
def delete(call: Call, request: TemplateId) -> dict[str, Any]:
    _load(call, request.template_id)
    call.db.execute("delete from group_welcome where template_id = ?", [request.template_id])
    return {}


def _checked(call: Call, request: Template) -> str:
    if request.agentid and request.agentid != call.agentid:
        raise WeComError(40056)
    words = check_text(request.text, MAX_TEXT_BYTES)
    given = {kind: getattr(request, kind) for kind in _KINDS if getattr(request, kind) is not None}
    for kind, body in given.items():
        check_body(call, kind, body)
    if not words and not given:
        raise WeComError(40058, "text and attachment are both empty")
    kept = dict(list(given.items())[:1])
    if "image" in kept:  # what comes back is an address, whichever was given
        picture = kept["image"]
        kept["image"] = {"pic_url": picture.get("pic_url") or call.picture("media", str(picture["media_id"]))}
    return msgspec.json.encode({"text": {"content": words}, **kept} if words else kept).decode()


def _load(call: Call, template_id: str) -> dict[str, Any]:
    row = call.db.execute("select * from group_welcome where template_id = ?", [template_id]).fetchone()
    if row is None:
        raise WeComError(40037)
    if row["agentid"] != call.agentid:
        raise WeComError(301002)
    found: dict[str, Any] = msgspec.json.decode(row["body"])
    return found
