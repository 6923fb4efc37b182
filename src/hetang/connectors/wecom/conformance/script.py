"""The calls of a conformance run, in order. Later ones use what earlier ones found on the same side.

Everything reads, but the steps that say what they `write`: these are left out unless they are asked for, and each takes
back what it made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Known = dict[str, Any]
Build = Callable[[Known], dict[str, Any] | None]  # None: nothing to ask about on this side
DAY_S = 86_400


def _fixed(**values: Any) -> Build:
    return lambda _known: dict(values)


def _of(**names: str) -> Build:
    """Parameters from what is known; None where one is missing."""

    def build(known: Known) -> dict[str, Any] | None:
        found = {parameter: known.get(name) for parameter, name in names.items()}
        return None if any(value in (None, "") for value in found.values()) else found

    return build


@dataclass(frozen=True)
class Step:
    """One call. `finds`: what to keep of the answer under which name, by the path to it (`a.0.b`).

    `writes` says in words what it changes. `token` False: without a token; otherwise the text of one that is wrong.
    """

    name: str
    method: str
    path: str
    build: Build = field(default_factory=_fixed)
    finds: dict[str, str] = field(default_factory=dict)
    writes: str = ""
    token: bool | str = True


def _week(known: Known) -> dict[str, Any]:
    return {"chat_type": "single", "start_time": known["now"] - 7 * DAY_S, "end_time": known["now"], "limit": 10}


def _moments(known: Known) -> dict[str, Any]:
    return {"start_time": known["now"] - 7 * DAY_S, "end_time": known["now"], "limit": 10}


def _yesterday(known: Known) -> dict[str, Any] | None:
    if not known.get("follower"):
        return None
    start = (known["now"] - 2 * DAY_S) // DAY_S * DAY_S
    return {"userid": [known["follower"]], "start_time": start, "end_time": start}


def _group_days(known: Known) -> dict[str, Any] | None:
    if not known.get("group_owner"):
        return None
    start = (known["now"] - 2 * DAY_S) // DAY_S * DAY_S
    return {"day_begin_time": start, "owner_filter": {"userid_list": [known["group_owner"]]}}


def _batch(limit: int) -> Build:
    def build(known: Known) -> dict[str, Any] | None:
        return {"userid_list": [known["follower"]], "limit": limit} if known.get("follower") else None

    return build


def _way(known: Known) -> dict[str, Any] | None:
    if not known.get("follower"):
        return None
    return {"type": 1, "scene": 2, "user": [known["follower"]], "remark": "conformance", "state": "conformance"}


def _message(known: Known) -> dict[str, Any] | None:
    if not known.get("customer"):
        return None
    return {
        "sender": known["follower"],
        "external_userid": [known["customer"]],
        "text": {"content": "conformance"},
    }


_NOBODY, _NO_CUSTOMER = "nobody.hetang.conformance", "wmXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
_CONTACT = "externalcontact"

READ: tuple[Step, ...] = (
    Step("token", "GET", "gettoken", _of(corpid="corpid", corpsecret="secret"), {"token": "access_token"}, token=False),
    Step("token, wrong secret", "GET", "gettoken", lambda k: {"corpid": k["corpid"], "corpsecret": "x"}, token=False),
    Step("token, no secret", "GET", "gettoken", _of(corpid="corpid"), token=False),
    Step("no token", "GET", "agent/get", _of(agentid="agentid"), token=False),
    Step("wrong token", "GET", "agent/get", _of(agentid="agentid"), token="wrong"),  # noqa: S106 - that is the point
    Step("addresses of the API", "GET", "get_api_domain_ip"),
    Step("addresses of callbacks", "GET", "getcallbackip"),
    Step("the app", "GET", "agent/get", _of(agentid="agentid")),
    Step("another app", "GET", "agent/get", _fixed(agentid=999_999_999)),
    Step("departments", "GET", "department/list", finds={"department": "department.0.id"}),
    Step("ids of departments", "GET", "department/simplelist"),
    Step("a department", "GET", "department/get", _of(id="department")),
    Step("an unknown department", "GET", "department/get", _fixed(id=999_999_999)),
    Step("members in short", "GET", "user/simplelist", _of(department_id="department")),
    Step("members", "GET", "user/list", _of(department_id="department"), {"member": "userlist.0.userid"}),
    Step("ids of members", "POST", "user/list_id", _fixed(limit=10)),
    Step("members with customers", "GET", f"{_CONTACT}/get_follow_user_list", finds={"follower": "follow_user.0"}),
    Step("a member", "GET", "user/get", _of(userid="follower")),
    Step("an unknown member", "GET", "user/get", _fixed(userid=_NOBODY)),
    Step("customers of a member", "GET", f"{_CONTACT}/list", _of(userid="follower"), {"customer": "external_userid.0"}),
    Step("customers of an unknown member", "GET", f"{_CONTACT}/list", _fixed(userid=_NOBODY)),
    Step("a customer", "GET", f"{_CONTACT}/get", _of(external_userid="customer")),
    Step("an unknown customer", "GET", f"{_CONTACT}/get", _fixed(external_userid=_NO_CUSTOMER)),
    Step("a page of customers", "POST", f"{_CONTACT}/batch/get_by_user", _batch(2)),
    Step("a page that is too long", "POST", f"{_CONTACT}/batch/get_by_user", _batch(101)),
    Step("groups", "POST", f"{_CONTACT}/groupchat/list", _fixed(limit=10), {"group": "group_chat_list.0.chat_id"}),
    Step(
        "a group",
        "POST",
        f"{_CONTACT}/groupchat/get",
        lambda k: {"chat_id": k["group"], "need_name": 1} if k.get("group") else None,
        {"group_owner": "group_chat.owner"},
    ),
    Step("an unknown group", "POST", f"{_CONTACT}/groupchat/get", _fixed(chat_id="wrXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX")),
    Step("groups by owner", "POST", f"{_CONTACT}/groupchat/statistic", _group_days),
    Step("corp tags", "POST", f"{_CONTACT}/get_corp_tag_list"),
    Step("live codes", "POST", f"{_CONTACT}/list_contact_way", _fixed(limit=10), {"way": "contact_way.0.config_id"}),
    Step("a live code", "POST", f"{_CONTACT}/get_contact_way", _of(config_id="way")),
    Step("an unknown live code", "POST", f"{_CONTACT}/get_contact_way", _fixed(config_id="0" * 32)),
    Step("mass messages", "POST", f"{_CONTACT}/get_groupmsg_list_v2", _week, {"message": "group_msg_list.0.msgid"}),
    Step(
        "senders of a mass message",
        "POST",
        f"{_CONTACT}/get_groupmsg_task",
        _of(msgid="message"),
        {"sender": "task_list.0.userid"},
    ),
    Step(
        "results of a mass message",
        "POST",
        f"{_CONTACT}/get_groupmsg_send_result",
        _of(msgid="message", userid="sender"),
    ),
    Step("moments", "POST", f"{_CONTACT}/get_moment_list", _moments),
    Step("customers of those who left", "POST", f"{_CONTACT}/get_unassigned_list", _fixed(page_size=10)),
    Step("what a member did", "POST", f"{_CONTACT}/get_user_behavior_data", _yesterday),
    Step("acquisition links", "POST", f"{_CONTACT}/customer_acquisition/list_link", _fixed(limit=10)),
    Step("quota of acquisition links", "GET", f"{_CONTACT}/customer_acquisition_quota"),
    Step("word rules", "GET", f"{_CONTACT}/get_intercept_rule_list"),
    Step("products", "POST", f"{_CONTACT}/get_product_album_list", _fixed(limit=10)),
    Step("accounts of WeChat customer service", "POST", "kf/account/list", _fixed(offset=0, limit=10)),
    Step("ticket of the corp", "GET", "get_jsapi_ticket"),
    Step("ticket of the app", "GET", "ticket/get", _fixed(type="agent_config")),
    Step("a code that nobody got", "GET", "auth/getuserinfo", _fixed(code="nobody")),
    Step(
        "a welcome code that nobody got",
        "POST",
        f"{_CONTACT}/send_welcome_msg",
        lambda _k: {"welcome_code": "nobody", "text": {"content": "conformance"}},
    ),
)

WRITE: tuple[Step, ...] = (
    Step(
        "new tag",
        "POST",
        f"{_CONTACT}/add_corp_tag",
        lambda k: {"group_name": f"conformance {k['now']}", "tag": [{"name": "conformance"}]},
        {"new_tag": "tag_group.tag.0.id", "new_tag_group": "tag_group.group_id"},
        writes="makes a corp tag “conformance” in a group of its own",
    ),
    Step(
        "new tag, changed",
        "POST",
        f"{_CONTACT}/edit_corp_tag",
        lambda k: {"id": k["new_tag"], "name": "conformance 2"} if k.get("new_tag") else None,
        writes="renames that tag",
    ),
    Step(
        "new tag, deleted",
        "POST",
        f"{_CONTACT}/del_corp_tag",
        lambda k: {"group_id": [k["new_tag_group"]]} if k.get("new_tag_group") else None,
        writes="deletes that group with its tag",
    ),
    Step(
        "new live code",
        "POST",
        f"{_CONTACT}/add_contact_way",
        _way,
        {"new_way": "config_id"},
        writes="makes a live code of one member",
    ),
    Step(
        "new live code, read",
        "POST",
        f"{_CONTACT}/get_contact_way",
        _of(config_id="new_way"),
        writes="reads it again",
    ),
    Step(
        "new live code, deleted", "POST", f"{_CONTACT}/del_contact_way", _of(config_id="new_way"), writes="deletes it"
    ),
)

# What the simulated side needs, so that its lists are not empty; never sent to anybody else.
SIMULATED_ONLY: tuple[Step, ...] = (
    Step("token", "GET", "gettoken", _of(corpid="corpid", corpsecret="secret"), {"token": "access_token"}, token=False),
    Step("", "GET", f"{_CONTACT}/get_follow_user_list", finds={"follower": "follow_user.0"}),
    Step("", "GET", f"{_CONTACT}/list", _of(userid="follower"), {"customer": "external_userid.0"}),
    Step("", "POST", f"{_CONTACT}/add_contact_way", _way, writes="a live code"),
    Step("", "POST", f"{_CONTACT}/add_msg_template", _message, writes="a mass message"),
)
