"""Messages of an app to members of the corp (reference section 18)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis import media
from hetang.simulator.apis.scope import departments_below, in_range
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

MOST_USERS, MOST_PARTIES = 1000, 100
RECALL_S = 86400
LONGEST_CHECK_S = 4 * 3600
_TEXTS = {  # fields that must be there, with their limits in bytes
    "text": {"content": 2048},
    "markdown": {"content": 2048},
    "textcard": {"title": 128, "description": 512, "url": 2048},
    "miniprogram_notice": {"title": 64},
}
_FILES = {"image", "voice", "file", "video"}
_CARDS = {"text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction"}


class Message(msgspec.Struct):
    msgtype: str = ""
    agentid: int = 0
    touser: str = ""
    toparty: str = ""
    totag: str = ""
    text: dict[str, Any] | None = None
    markdown: dict[str, Any] | None = None
    textcard: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    voice: dict[str, Any] | None = None
    file: dict[str, Any] | None = None
    video: dict[str, Any] | None = None
    news: dict[str, Any] | None = None
    mpnews: dict[str, Any] | None = None
    miniprogram_notice: dict[str, Any] | None = None
    template_card: dict[str, Any] | None = None
    enable_duplicate_check: int = 0
    duplicate_check_interval: int = 1800


class MsgId(msgspec.Struct):
    msgid: str = ""


class CardUpdate(msgspec.Struct):
    response_code: str = ""
    agentid: int = 0
    userids: list[str] = msgspec.field(default_factory=list)
    button: dict[str, Any] | None = None
    template_card: dict[str, Any] | None = None
    atall: int = 0


@api("message/send", "POST", Message)
def send(call: Call, request: Message) -> dict[str, Any]:
    if request.agentid != call.agentid:
        raise WeComError(40056)
    body = checked(call, request)
    members, invalid = _receivers(call, request)
    answer = {"invaliduser": "|".join(invalid[0]), "invalidparty": "|".join(invalid[1]), "invalidtag": ""}
    packed = msgspec.json.encode(body).decode()
    if request.enable_duplicate_check:
        interval = min(request.duplicate_check_interval, LONGEST_CHECK_S)
        same = call.db.execute(
            "select msgid from app_message where agentid = ? and body = ? and members = ? and at > ?",
            [call.agentid, packed, msgspec.json.encode(members).decode(), call.now - interval],
        ).fetchone()
        if same is not None:
            return {**answer, "msgid": same["msgid"]}
    return {**answer, **_store(call, request.msgtype, packed, members)}


@api("message/recall", "POST", MsgId)
def recall(call: Call, request: MsgId) -> dict[str, Any]:
    changed = call.db.execute(
        "update app_message set recalled_at = ?1 where msgid = ?2 and agentid = ?3 and at > ?4",
        [call.now, request.msgid, call.agentid, call.now - RECALL_S],
    ).rowcount
    if not changed:
        raise WeComError(40058, "msgid")
    return {}


@api("message/update_template_card", "POST", CardUpdate)
def update_template_card(call: Call, request: CardUpdate) -> dict[str, Any]:
    """The code is good for 24 hours and one use."""
    if request.agentid != call.agentid:
        raise WeComError(40056)
    row = call.db.execute(
        "select * from app_message where response_code = ? and response_code != '' and agentid = ? and at > ?",
        [request.response_code, call.agentid, call.now - RECALL_S],
    ).fetchone()
    if row is None:
        raise WeComError(40058, "response_code is invalid, used or expired")
    body = msgspec.json.decode(row["body"])
    if request.template_card is not None:
        body = request.template_card
    elif request.button is not None:
        body["button"] = request.button
    call.db.execute(
        "update app_message set body = ?, response_code = '' where number = ?",
        [msgspec.json.encode(body).decode(), row["number"]],
    )
    return {"invaliduser": []}


def checked(call: Call, request: Message) -> dict[str, Any]:
    """The body of the message's kind. Raises 40008, 44004, 45002, 40007 or 40058."""
    kind = request.msgtype
    body: dict[str, Any] | None = getattr(request, kind, None) if kind in _KINDS else None
    if kind not in _KINDS:
        raise WeComError(40008)
    if not body:
        raise WeComError(44004)
    for name, most in _TEXTS.get(kind, {}).items():
        if not body.get(name):
            raise WeComError(44004, name)
        if len(str(body[name]).encode()) > most:
            raise WeComError(45002, name)
    if kind in _FILES and not media.usable(call, str(body.get("media_id"))):
        raise WeComError(40007)
    if kind in {"news", "mpnews"} and not 1 <= len(body.get("articles") or []) <= 8:
        raise WeComError(40058, "1 to 8 articles")
    if kind == "template_card" and body.get("card_type") not in _CARDS:
        raise WeComError(40058, "card_type")
    return body


_KINDS = {*_TEXTS, *_FILES, "news", "mpnews", "template_card"}


def _receivers(call: Call, request: Message) -> tuple[list[str], tuple[list[str], list[str]]]:
    """Who gets it, and the userids and departments that are not known. Raises 82001, 40058, 81013 or 45009."""
    users = [one for one in request.touser.split("|") if one]
    parties = [one for one in request.toparty.split("|") if one]
    if not users and not parties and not request.totag:
        raise WeComError(82001)
    if len(users) > MOST_USERS or len(parties) > MOST_PARTIES:
        raise WeComError(40058, "too many receivers")
    rows = call.db.execute("select userid from member where left_at is null and status = 1")
    seen = {row["userid"].lower(): row["userid"] for row in rows if in_range(call, row["userid"])}
    known = {str(row["id"]) for row in call.db.execute("select id from department")}
    if users == ["@all"]:
        return sorted(seen.values()), ([], [])
    bad = [one for one in users if one.lower() not in seen], [one for one in parties if one not in known]
    below = departments_below(call, [int(one) for one in parties if one in known])
    found = {seen[one.lower()] for one in (*users, *below) if one.lower() in seen}
    if not found:
        raise WeComError(81013)
    return sorted(found), bad


def _store(call: Call, kind: str, body: str, members: list[str]) -> dict[str, Any]:
    settings = call.state.settings
    today = call.db.execute(
        "select coalesce(sum(json_array_length(members)), 0) from app_message where agentid = ? and at > ?",
        [call.agentid, call.now - 86400],
    ).fetchone()[0]
    if today + len(members) > 200 * settings.account_limit:
        raise WeComError(45009)
    return keep(call, kind, body, [one for one in members if not _flooded(call, one)])


def keep(call: Call, kind: str, body: str, reached: list[str]) -> dict[str, Any]:
    """Put a message into the members' inboxes."""
    number = call.db.execute("select coalesce(max(number), 0) + 1 from app_message").fetchone()[0]
    msgid = ids.token("am", call.state.settings.seed, "app message", call.state.value("corpid"), number)
    code = secrets.token_urlsafe(24) if kind == "template_card" else ""
    call.db.execute(
        "insert into app_message (number, msgid, agentid, msgtype, body, members, at, response_code)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        [number, msgid, call.agentid, kind, body, msgspec.json.encode(reached).decode(), call.now, code],
    )
    return {"msgid": msgid, **({"response_code": code} if code else {})}


def _flooded(call: Call, userid: str) -> bool:
    """Whether the member had his fill of this app: the platform then drops the message without a word."""
    settings = call.state.settings
    for span_s, most in ((60, settings.app_messages_a_minute), (3600, settings.app_messages_an_hour)):
        came = call.db.execute(
            "select count(*) from app_message m where agentid = ? and at > ? and exists"
            " (select 1 from json_each(m.members) where value = ?)",
            [call.agentid, call.now - span_s, userid],
        ).fetchone()[0]
        if came >= most:
            return True
    return False
