"""Codes by which customers come: contact ways, ways into groups, acquisition links: sections 5, 6 and 9."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Nothing, Page, Request


class AddWay(Request):
    type: int
    scene: int
    style: int = 0
    remark: str = ""
    skip_verify: bool | None = None  # the platform's default is true
    state: str = ""
    user: list[str] = []
    party: list[int] = []
    is_temp: bool = False
    expires_in: int = 0
    chat_expires_in: int = 0
    unionid: str = ""
    is_exclusive: bool = False
    mark_source: bool | None = None
    conclusions: dict[str, Any] | None = None


class WayMade(Answer):
    config_id: str = ""
    qr_code: str = ""


class WayQuery(Request):
    config_id: str


class Way(msgspec.Struct):
    config_id: str
    type: int = 2
    scene: int = 2
    style: int = 0
    remark: str = ""
    skip_verify: bool = True
    state: str = ""
    qr_code: str = ""
    user: list[str] = []
    party: list[int] = []


class OneWay(Answer):
    contact_way: Way | None = None


class WaysRequest(Request):
    start_time: int = 0
    end_time: int = 0
    cursor: str = ""
    limit: int = 0


class ConfigId(msgspec.Struct):
    config_id: str


class Ways(Page):
    contact_way: list[ConfigId] = []


class UpdateWay(Request):
    """What is given replaces; type and scene cannot change."""

    config_id: str
    remark: str | None = None
    skip_verify: bool | None = None
    style: int | None = None
    state: str | None = None
    user: list[str] | None = None
    party: list[int] | None = None
    conclusions: dict[str, Any] | None = None


class CloseTemporary(Request):
    userid: str
    external_userid: str


class JoinWayFields(Request):
    """Everything is said each time: what an update leaves out goes back to the platform's default."""

    scene: int
    auto_create_room: int
    chat_id_list: list[str]
    mark_source: bool
    remark: str = ""
    room_base_name: str = ""
    room_base_id: int = 0
    state: str = ""


class UpdateJoinWay(JoinWayFields, kw_only=True):
    config_id: str


class JoinWay(msgspec.Struct):
    config_id: str
    scene: int = 2
    remark: str = ""
    auto_create_room: int = 1
    room_base_name: str = ""
    room_base_id: int = 0
    chat_id_list: list[str] = []
    qr_code: str = ""
    state: str = ""


class OneJoinWay(Answer):
    join_way: JoinWay | None = None


class LinksRequest(Request):
    limit: int = 0
    cursor: str = ""


class LinkIds(Page):
    link_id_list: list[str] = []


class LinkQuery(Request):
    link_id: str


class Reach(Request):
    user_list: list[str] = []
    department_list: list[int] = []


class Priority(Request):
    priority_type: int
    priority_userid_list: list[str] = []


class CreateLink(Request):
    link_name: str
    range: Reach
    skip_verify: bool | None = None
    priority_option: Priority | None = None
    mark_source: bool | None = None


class UpdateLink(Request):
    link_id: str
    link_name: str | None = None
    range: Reach | None = None
    skip_verify: bool | None = None
    priority_option: Priority | None = None


class AcquisitionLink(msgspec.Struct):
    link_id: str = ""
    link_name: str = ""
    url: str = ""
    create_time: int = 0
    skip_verify: bool = True


class OneLink(Answer):
    link: AcquisitionLink | None = None
    range: Reach = msgspec.field(default_factory=Reach)


class LinkMade(Answer):
    link: AcquisitionLink | None = None


class LinkCustomersRequest(LinkQuery):
    limit: int = 0
    cursor: str = ""


class LinkCustomer(msgspec.Struct):
    """`chat_status`: 0 none, 1 the customer has written, 2 unknown."""

    external_userid: str
    userid: str
    chat_status: int = 2
    state: str = ""


class LinkCustomers(Page):
    customer_list: list[LinkCustomer] = []


class QuotaPart(msgspec.Struct):
    expire_date: int = 0
    balance: int = 0


class LinkQuota(Answer):
    total: int = 0
    balance: int = 0
    quota_list: list[QuotaPart] = []


class LinkStatisticRequest(LinkQuery):
    start_time: int
    end_time: int


class LinkStatistic(Answer):
    click_link_customer_cnt: int = 0
    new_customer_cnt: int = 0


class ChatKey(Request):
    chat_key: str


class ChatInfo(msgspec.Struct):
    recv_msg_cnt: int = 0
    link_id: str = ""
    state: str = ""


class LinkChat(Answer):
    userid: str = ""
    external_userid: str = ""
    chat_info: ChatInfo = msgspec.field(default_factory=ChatInfo)


class LinkPermit(Answer):
    user_list: list[str] = []
    department_list: list[int] = []


# Made twice, a code or link stands twice in WeCom's list.
ADD_WAY = Api("externalcontact/add_contact_way", "POST", AddWay, WayMade, repeatable=False)
GET_WAY = Api("externalcontact/get_contact_way", "POST", WayQuery, OneWay)
WAYS = Api("externalcontact/list_contact_way", "POST", WaysRequest, Ways)
UPDATE_WAY = Api("externalcontact/update_contact_way", "POST", UpdateWay, Answer)
DELETE_WAY = Api("externalcontact/del_contact_way", "POST", WayQuery, Answer)
CLOSE_TEMPORARY = Api("externalcontact/close_temp_chat", "POST", CloseTemporary, Answer)
ADD_JOIN_WAY = Api("externalcontact/groupchat/add_join_way", "POST", JoinWayFields, WayMade, repeatable=False)
GET_JOIN_WAY = Api("externalcontact/groupchat/get_join_way", "POST", WayQuery, OneJoinWay)
UPDATE_JOIN_WAY = Api("externalcontact/groupchat/update_join_way", "POST", UpdateJoinWay, Answer)
DELETE_JOIN_WAY = Api("externalcontact/groupchat/del_join_way", "POST", WayQuery, Answer)
_LINK = "externalcontact/customer_acquisition"
LINKS = Api(f"{_LINK}/list_link", "POST", LinksRequest, LinkIds)
GET_LINK = Api(f"{_LINK}/get", "POST", LinkQuery, OneLink)
CREATE_LINK = Api(f"{_LINK}/create_link", "POST", CreateLink, LinkMade, repeatable=False)
UPDATE_LINK = Api(f"{_LINK}/update_link", "POST", UpdateLink, Answer)
DELETE_LINK = Api(f"{_LINK}/delete_link", "POST", LinkQuery, Answer)
LINK_CUSTOMERS = Api(f"{_LINK}/customer", "POST", LinkCustomersRequest, LinkCustomers)
LINK_QUOTA = Api(f"{_LINK}_quota", "GET", Nothing, LinkQuota)  # an underscore, and a GET
LINK_STATISTIC = Api(f"{_LINK}/statistic", "POST", LinkStatisticRequest, LinkStatistic)
LINK_CHAT = Api(f"{_LINK}/get_chat_info", "POST", ChatKey, LinkChat)
LINK_PERMIT = Api(f"{_LINK}_app/get_permit", "GET", Nothing, LinkPermit)
