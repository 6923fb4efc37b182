"""Mass messages (reference section 10): the API makes tasks; nothing reaches a customer before a member confirms."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import staff, tags
from hetang.simulator.apis.content import Text, check_message
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

MAX_CUSTOMERS = 10_000
MAX_GROUPS = 2_000
MAX_TAGS = 100


class TagGroup(msgspec.Struct):
    tag_list: list[str] = msgspec.field(default_factory=list)


class TagFilter(msgspec.Struct):
    """A customer has one tag of every group."""

    group_list: list[TagGroup] = msgspec.field(default_factory=list)


class AddTemplate(msgspec.Struct):
    chat_type: str = "single"
    external_userid: list[str] | None = None
    chat_id_list: list[str] | None = None
    tag_filter: TagFilter | None = None
    sender: str = ""
    allow_select: bool = False
    text: Text | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)


@api("externalcontact/add_msg_template", "POST", AddTemplate)
def add_msg_template(call: Call, request: AddTemplate) -> dict[str, Any]:
    if request.chat_type not in {"single", "group"}:
        raise WeComError(86214)
    check_message(call, request.text, request.attachments)
    if request.chat_type == "group":
        return _to_groups(call, request)
    wanted = _wanted(request)
    pairs = _with_tags(call, request.tag_filter, _pairs(call, request, wanted))
    if not pairs:
        raise WeComError(41048)
    msgid = _store(call, request, pairs)
    reachable = {customer for _, customer in pairs}
    failed = [customer for customer in dict.fromkeys(wanted or ()) if customer not in reachable]
    return {"fail_list": failed, "msgid": msgid}


def _to_groups(call: Call, request: AddTemplate) -> dict[str, Any]:
    """A task for one owner: the groups asked for, or (none asked for) those that he picks when he confirms."""
    if not request.sender:
        raise WeComError(40058, "sender is needed for groups")
    owner = contact_member(call, request.sender)
    wanted = list(dict.fromkeys(request.chat_id_list or ()))
    if len(wanted) > MAX_GROUPS:
        raise WeComError(40058, "more than 2,000 groups")
    rows = call.db.execute("select chat_id from chat where owner = ? and dismissed_at is null", [owner])
    own = {row["chat_id"] for row in rows}
    pairs = [(owner, chat_id) for chat_id in wanted if chat_id in own]
    if not own or (wanted and not pairs):
        raise WeComError(41048)
    msgid = _store(call, request, pairs, [owner])
    return {"fail_list": [chat_id for chat_id in wanted if chat_id not in own], "msgid": msgid}


def _with_tags(call: Call, asked: TagFilter | None, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    groups = [one.tag_list for one in asked.group_list if one.tag_list] if asked else []
    if not groups:
        return pairs
    if any(len(one) > MAX_TAGS for one in groups):
        raise WeComError(40058, "more than 100 tags in a list")
    numbers = [set(tags.numbers_of(call.db, one)) for one in groups]
    listed = msgspec.json.encode(pairs).decode()
    rows = call.db.execute(
        "select r.userid, r.external_userid, r.tags from json_each(?) w join relation r"
        " on r.userid = json_extract(w.value, '$[0]') and r.external_userid = json_extract(w.value, '$[1]')",
        [listed],
    )
    found = ((row[0], row[1], set(msgspec.json.decode(row[2]))) for row in rows)
    return [(userid, person) for userid, person, has in found if all(has & wanted for wanted in numbers)]


def _wanted(request: AddTemplate) -> list[str] | None:
    """The customers asked for; None: all of the sender's."""
    if request.external_userid:
        if len(request.external_userid) > MAX_CUSTOMERS:
            raise WeComError(40058, "more than 10,000 customers")
        return request.external_userid
    if not request.sender:
        raise WeComError(40058, "sender and external_userid are both empty")
    return None


def _pairs(call: Call, request: AddTemplate, wanted: list[str] | None) -> list[tuple[str, str]]:
    """(member, customer): the sender's own customers, or each customer's most recent member."""
    visible = "state in ('full', 'lost_by_customer')"
    if wanted is None:
        member = contact_member(call, request.sender)
        query = f"select userid, external_userid from relation where userid = ? and {visible}"
        return [(row[0], row[1]) for row in call.db.execute(query, [member])]
    listed = msgspec.json.encode(wanted).decode()
    if request.sender:
        member = contact_member(call, request.sender)
        query = (
            "select r.userid, r.external_userid from (select distinct value from json_each(?)) w"
            f" join relation r on r.external_userid = w.value and r.userid = ? where r.{visible}"
        )
        return [(row[0], row[1]) for row in call.db.execute(query, [listed, member])]
    query = (
        "select userid, external_userid, max(createtime) from relation"
        f" where external_userid in (select value from json_each(?)) and {visible} group by external_userid"
    )
    return [(row[0], row[1]) for row in call.db.execute(query, [listed])]


def _store(call: Call, request: AddTemplate, pairs: list[tuple[str, str]], members: list[str] | None = None) -> str:
    text = request.text.content if request.text else ""
    return staff.make_message(
        *(call.state, call.db, pairs),
        members=members or sorted({member for member, _ in pairs}),
        text=text,
        chat_type=request.chat_type,
        attachments=request.attachments,
        agentid=call.agentid,
        allow_select=request.allow_select,
    )
