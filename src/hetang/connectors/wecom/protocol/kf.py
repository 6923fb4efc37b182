"""WeChat customer service (微信客服), its basics: section 20."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Request
from hetang.connectors.wecom.protocol.messages import Text


class AccountsRequest(Request):
    offset: int
    limit: int


class Account(msgspec.Struct):
    open_kfid: str
    name: str = ""
    avatar: str = ""


class Accounts(Answer):
    account_list: list[Account] = []


class EntryRequest(Request):
    open_kfid: str
    scene: str = ""


class Entry(Answer):
    url: str = ""


class AccountQuery(Request):
    open_kfid: str


class Servicer(msgspec.Struct):
    userid: str = ""
    status: int = 0
    department_id: int = 0


class Servicers(Answer):
    servicer_list: list[Servicer] = []


class SyncRequest(Request):
    open_kfid: str
    cursor: str = ""
    token: str = ""
    limit: int = 0
    voice_format: int = 0


class KfMessage(msgspec.Struct):
    """`origin`: 3 customer, 4 system, 5 servicer."""

    msgid: str
    open_kfid: str = ""
    external_userid: str = ""
    send_time: int = 0
    origin: int = 0
    servicer_userid: str = ""
    msgtype: str = ""
    text: dict[str, Any] = {}
    event: dict[str, Any] = {}


class KfMessages(Answer):
    next_cursor: str = ""
    has_more: int = 0
    msg_list: list[KfMessage] = []


class KfSend(Request):
    """Within 48 hours of the customer's message and at most five for each of hers."""

    touser: str
    open_kfid: str
    msgtype: str
    msgid: str = ""
    text: Text | None = None


class KfSendOnEvent(Request):
    code: str
    msgtype: str
    msgid: str = ""
    text: Text | None = None


class KfSent(Answer):
    msgid: str = ""


class StateQuery(Request):
    open_kfid: str
    external_userid: str


class StateChange(StateQuery):
    service_state: int
    servicer_userid: str = ""


class ServiceState(Answer):
    service_state: int = 0
    servicer_userid: str = ""


class StateChanged(Answer):
    msg_code: str = ""


class KfCustomersRequest(Request):
    external_userid_list: list[str]
    need_enter_session_context: int = 0


class KfCustomer(msgspec.Struct):
    external_userid: str
    nickname: str = ""
    unionid: str = ""


class KfCustomers(Answer):
    customer_list: list[KfCustomer] = []
    invalid_external_userid: list[str] = []


KF_ACCOUNTS = Api("kf/account/list", "POST", AccountsRequest, Accounts)
KF_ENTRY = Api("kf/add_contact_way", "POST", EntryRequest, Entry)
KF_SERVICERS = Api("kf/servicer/list", "GET", AccountQuery, Servicers)
KF_SYNC = Api("kf/sync_msg", "POST", SyncRequest, KfMessages)
KF_SEND = Api("kf/send_msg", "POST", KfSend, KfSent, repeatable=False)
KF_SEND_ON_EVENT = Api("kf/send_msg_on_event", "POST", KfSendOnEvent, KfSent, repeatable=False)
KF_STATE = Api("kf/service_state/get", "POST", StateQuery, ServiceState)
KF_CHANGE_STATE = Api("kf/service_state/trans", "POST", StateChange, StateChanged)
KF_CUSTOMERS = Api("kf/customer/batchget", "POST", KfCustomersRequest, KfCustomers)
