"""Two published SDKs work against the simulator, only the host redirected; where they are wrong, strict mode says so.

They share no code with the simulator, the connector or each other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from wechatpy.exceptions import WeChatClientException
from wechatpy.work import WeChatClient, parse_message
from wechatpy.work.crypto import WeChatCrypto
from wecom_crm_mcp.client import WecomClient
from wecom_crm_mcp.config import WecomConfig
from wecom_crm_mcp.exceptions import WecomAPIError
from wecom_crm_mcp.modules.acquisition import AcquisitionModule
from wecom_crm_mcp.modules.contact_way import ContactWayModule
from wecom_crm_mcp.modules.customer import CustomerModule
from wecom_crm_mcp.modules.group_chat import GroupChatModule
from wecom_crm_mcp.modules.misc import MiscModule
from wecom_crm_mcp.modules.moment import MomentModule
from wecom_crm_mcp.modules.msg_template import MsgTemplateModule
from wecom_crm_mcp.modules.tag import TagModule
from wecom_crm_mcp.modules.transfer_active import TransferActiveModule

from hetang.simulator import crypto
from tests.simulator.local import AES_KEY, Corp

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "wecom_vectors.json").read_text())["callback"]
PLATFORM = "https://qyapi.weixin.qq.com"


class Redirect(requests.adapters.HTTPAdapter):
    """Sends what is meant for the platform to the simulator."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: Any, *arguments: Any, **more: Any) -> Any:
        request.url = self._base + request.url.removeprefix(PLATFORM)
        request.headers["Host"] = urlsplit(self._base).netloc
        return super().send(request, *arguments, **more)


@pytest.fixture
def wechatpy(corp: Corp) -> Iterator[WeChatClient]:
    client = WeChatClient(corp.corpid, corp.secret)
    client._http.mount(PLATFORM, Redirect(corp.local.url))
    yield client
    client._http.close()


def code_of(call: Callable[..., Any], *arguments: Any, **more: Any) -> int:
    with pytest.raises((WeChatClientException, WecomAPIError)) as refused:
        call(*arguments, **more)
    return int(refused.value.errcode)


def test_wechatpy_reads_the_corp(corp: Corp, wechatpy: WeChatClient) -> None:
    contact = wechatpy.external_contact
    assert contact.get_follow_user_list()["follow_user"] == ["anna", "bo"]
    assert sorted(contact.list("anna")["external_userid"]) == sorted(corp.people[:3])
    assert contact.get(corp.people[0])["external_contact"]["name"] == "Person 0"
    assert [one["id"] for one in wechatpy.department.list()] == [1, 2, 3]
    assert wechatpy.user.get("anna")["name"] == "Anna"
    assert code_of(contact.list, "carl") == 84074


def test_wechatpy_tags(corp: Corp, wechatpy: WeChatClient) -> None:
    contact = wechatpy.external_contact
    made = contact.add_corp_tag(None, "Tier", None, [{"name": "gold"}])["tag_group"]
    gold = made["tag"][0]["id"]
    contact.mark_tag("anna", corp.people[0], add_tag=[gold])
    (follower,) = contact.get(corp.people[0])["follow_user"]
    assert [tag["tag_name"] for tag in follower["tags"]] == ["gold"]
    contact.edit_corp_tag(gold, name="platinum")
    assert contact.get_corp_tag_list()["tag_group"][0]["tag"][0]["name"] == "platinum"
    assert code_of(contact.mark_tag, "bo", corp.people[0], add_tag=[gold]) == 84061


def test_wechatpy_codes_welcome_and_groups(corp: Corp, wechatpy: WeChatClient) -> None:
    contact = wechatpy.external_contact
    way = contact.add_contact_way(1, 2, user=["bo"], state="door")["config_id"]
    assert contact.get_contact_way(way)["contact_way"]["state"] == "door"
    code = corp.act("scan", config_id=way, external_userid=corp.people[0])["welcome_code"]
    contact.send_welcome_msg({"welcome_code": code, "text": {"content": "hello"}})
    assert code_of(contact.send_welcome_msg, {"welcome_code": code, "text": {"content": "again"}}) == 41051
    contact.del_contact_way(way)
    chat = corp.act("chat_create", owner="anna", name="Tea")["chat_id"]
    assert [one["chat_id"] for one in contact.get_group_chat_list(10)["group_chat_list"]] == [chat]
    assert contact.get_group_chat_info(chat)["group_chat"]["name"] == "Tea"
    template = contact.add_group_welcome_template({"text": {"content": "hi"}})["template_id"]
    assert contact.get_group_welcome_template(template)["text"] == {"content": "hi"}
    assert contact.get_unassigned_list()["info"] == []


def test_wechatpy_messages_and_tickets(corp: Corp, wechatpy: WeChatClient) -> None:
    body = {"external_userid": corp.people[:2], "sender": "anna", "text": {"content": "tea"}}
    assert wechatpy.external_contact.add_msg_template(body)["fail_list"] == []
    assert wechatpy.message.send_text(1000002, ["anna"], "hello")["msgid"]
    ticket = wechatpy.jsapi.get_jsapi_ticket()
    assert ticket == corp.call("get_jsapi_ticket")["ticket"]
    assert wechatpy.oauth.get_user_info(corp.act("authorise", userid="anna")["code"])["UserId"] == "anna"


def test_where_wechatpy_is_out_of_date_strict_mode_says_so(corp: Corp, wechatpy: WeChatClient) -> None:
    contact = wechatpy.external_contact
    assert code_of(contact.batch_get_by_user, "anna") == 40031  # sends `userid` for `userid_list`
    assert code_of(contact.transfer, corp.people[0], "anna", "bo") == 48005
    assert code_of(contact.get_group_msg_result, "msg") == 48005
    corp.admin.settings(strict=False)
    assert len(contact.batch_get_by_user("anna")["external_contact_list"]) == 3
    corp.act("staff_leaves", userid="anna")
    assert contact.transfer(corp.people[0], "anna", "bo")["errcode"] == 0


def test_wechatpy_takes_a_new_token_when_the_old_one_died(corp: Corp, wechatpy: WeChatClient) -> None:
    wechatpy.department.list()
    for how in ("expired", "invalid"):
        corp.act("tokens", dead=how)
        assert len(wechatpy.department.list()) == 3


def test_wechatpy_opens_callbacks(corp: Corp) -> None:
    corp.admin.relate("add", "bo", corp.people[0], state="door")
    with corp.local.state.transaction() as db:
        body = db.execute("select body from callback").fetchone()[0]
    encrypted = crypto.encrypt(AES_KEY, body, corp.corpid)
    signature = crypto.sign("token123", "1700000000", "7", encrypted)
    envelope = f"<xml><ToUserName>{corp.corpid}</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    opener = WeChatCrypto("token123", AES_KEY, corp.corpid)
    event = parse_message(opener.decrypt_message(envelope, signature, "1700000000", "7"))
    assert (event.event, event.change_type) == ("change_external_contact", "add_external_contact")
    assert (event.user_id, event.external_user_id, event.state) == ("bo", corp.people[0], "door")
    assert event.welcome_code


@pytest.mark.parametrize(
    "vector", [one for one in VECTORS if one["msg_signature"] and one.get("plaintext")], ids=lambda one: one["id"]
)
def test_wechatpy_agrees_with_the_vectors(vector: dict[str, Any]) -> None:
    opener = WeChatCrypto(vector["token"], vector["encoding_aes_key"], vector["receive_id"])
    told = (vector["msg_signature"], vector["timestamp"], vector["nonce"], vector["encrypt"])
    assert opener.check_signature(*told) == vector["plaintext"]


@pytest.fixture
def crm(corp: Corp, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Runs one method of a module of wecom-crm-mcp in a client of its own."""
    config = WecomConfig(corp.corpid, corp.secret, base_url=corp.local.url, cache_dir=str(tmp_path))

    def run(module: Any, method: str, *arguments: Any, **more: Any) -> Any:
        async def call() -> Any:
            async with WecomClient(config) as client:
                return await getattr(module(client), method)(*arguments, **more)

        with ThreadPoolExecutor(1) as alone:  # a browser test may have left a running loop in ours
            return alone.submit(asyncio.run, call()).result()

    yield run


def test_wecom_crm_mcp_reads_and_tags(corp: Corp, crm: Callable[..., Any]) -> None:
    assert crm(CustomerModule, "list_followers")["follow_user"] == ["anna", "bo"]
    page = crm(CustomerModule, "batch_get", ["anna"])["external_contact_list"]
    assert {one["external_contact"]["external_userid"] for one in page} == set(corp.people[:3])
    crm(CustomerModule, "remark", "anna", corp.people[0], remark="vip")
    made = crm(TagModule, "add_corp_tag", tag=[{"name": "gold"}], group_name="Tier")["tag_group"]
    crm(TagModule, "mark_tag", "anna", corp.people[0], add_tag=[made["tag"][0]["id"]])
    (follower,) = crm(CustomerModule, "get", corp.people[0])["follow_user"]
    assert (follower["remark"], follower["tags"][0]["tag_name"]) == ("vip", "gold")


def test_wecom_crm_mcp_codes_groups_moments_messages(corp: Corp, crm: Callable[..., Any]) -> None:
    way = crm(ContactWayModule, "add_contact_way", 1, 2, user=["bo"], state="door")["config_id"]
    assert crm(ContactWayModule, "list_contact_way")["contact_way"] == [{"config_id": way}]
    chat = corp.act("chat_create", owner="anna", name="Tea")["chat_id"]
    join = crm(ContactWayModule, "groupchat_add_join_way", scene=2, chat_id_list=[chat])["config_id"]
    assert crm(ContactWayModule, "groupchat_get_join_way", join)["join_way"]["chat_id_list"] == [chat]
    assert crm(GroupChatModule, "get_groupchat", chat)["group_chat"]["owner"] == "anna"
    corp.admin.settings(moment_job_s=600)
    jobid = crm(MomentModule, "add_moment_task", {"content": "tea"})["jobid"]
    assert crm(MomentModule, "get_moment_task_result", jobid)["status"] == 1
    wanted = {"sender": "anna", "external_userid": corp.people[:1], "text": {"content": "hi"}}
    msgid = crm(MsgTemplateModule, "add_msg_template", "single", **wanted)["msgid"]
    tasks = crm(MsgTemplateModule, "get_groupmsg_task", msgid)["task_list"]
    assert tasks == [{"userid": "anna", "status": 0}]
    assert crm(MiscModule, "list_intercept_rule")["rule_list"] == []


def test_where_wecom_crm_mcp_is_wrong_strict_mode_says_so(corp: Corp, crm: Callable[..., Any]) -> None:
    link = {"link_name": "door", "range": {"user_list": ["anna"]}}
    assert code_of(crm, AcquisitionModule, "create_link", link) == 40058  # wraps its body in `link`
    chat = corp.act("chat_create", owner="anna", name="Tea")["chat_id"]
    answer = crm(TransferActiveModule, "group_chat_transfer", [chat], "bo")  # the call for owners who left
    assert [one["errcode"] for one in answer["failed_chat_list"]] == [90500]
    with pytest.raises(Exception, match="404"):  # no such path on the platform either
        crm(AcquisitionModule, "get_quota")
    corp.admin.settings(strict=False)
    assert crm(AcquisitionModule, "create_link", link)["link"]["link_name"] == "door"
