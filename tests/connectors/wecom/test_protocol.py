"""Every path that we call is one that the platform documents, with its method."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from hetang.connectors.wecom import protocol
from hetang.connectors.wecom.protocol.envelope import Api, Page, encoded
from hetang.connectors.wecom.protocol.messages import AgentMessage, Attachment, Image, TaskRequest, Text

HERE = Path(__file__).parent


def all_apis() -> list[Api[Any, Any]]:
    found: dict[str, Api[Any, Any]] = {}
    for module in pkgutil.iter_modules(protocol.__path__):
        names = vars(importlib.import_module(f"{protocol.__name__}.{module.name}"))
        found |= {one.path: one for one in names.values() if isinstance(one, Api)}
    return sorted(found.values(), key=lambda api: api.path)


def documented() -> dict[str, str]:
    """Path -> method, as the platform's pages name them."""
    lines = (HERE / "documented_paths.txt").read_text().splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {path: method for method, path in pairs}


def test_every_path_is_documented_with_its_method() -> None:
    pages = documented()
    apis = all_apis()
    assert len(apis) == 90
    assert [api.path for api in apis if pages.get(api.path) != api.method] == []


def test_calls_that_are_never_repeated_blindly() -> None:
    assert [api.path for api in all_apis() if not api.repeatable] == [
        "auth/getuserinfo",
        "externalcontact/add_contact_way",
        "externalcontact/add_corp_tag",
        "externalcontact/add_moment_task",
        "externalcontact/add_msg_template",
        "externalcontact/customer_acquisition/create_link",
        "externalcontact/del_corp_tag",
        "externalcontact/group_welcome_template/add",
        "externalcontact/groupchat/add_join_way",
        "externalcontact/groupchat/onjob_transfer",
        "externalcontact/groupchat/transfer",
        "externalcontact/remind_groupmsg_send",
        "externalcontact/resigned/transfer_customer",
        "externalcontact/transfer_customer",
        "kf/send_msg",
        "kf/send_msg_on_event",
        "message/send",
    ]


@pytest.mark.parametrize("api", all_apis(), ids=lambda api: api.path)
def test_pages_can_be_asked_for(api: Api[Any, Any]) -> None:
    if issubclass(api.answer, Page) and api.path not in {
        # these two have a fixed size of their own
        "externalcontact/get",
        "externalcontact/transfer_result",
        "externalcontact/resigned/transfer_result",
        "externalcontact/get_unassigned_list",
    }:
        assert {"cursor", "limit"} <= set(api.request.__struct_fields__)


def test_what_has_its_default_is_left_out() -> None:
    task = TaskRequest(
        chat_type="single",
        sender="anna",
        external_userid=["wm1"],
        text=Text(content="hi"),
        attachments=[Attachment(msgtype="image", image=Image(pic_url="https://p"))],
    )
    assert encoded(task) == (
        b'{"chat_type":"single","sender":"anna","external_userid":["wm1"],"text":{"content":"hi"},'
        b'"attachments":[{"msgtype":"image","image":{"pic_url":"https://p"}}]}'
    )
    told = AgentMessage(msgtype="text", agentid=1, touser="anna", text=Text(content="x"))
    assert encoded(told) == b'{"msgtype":"text","agentid":1,"touser":"anna","text":{"content":"x"}}'
