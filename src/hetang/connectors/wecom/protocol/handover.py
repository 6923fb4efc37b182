"""Customers and groups handed over, and what members did: sections 14 and 17."""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request

CUSTOMERS_PER_CALL = GROUPS_PER_CALL = 100
GROUPS_A_DAY = 300  # to one new owner
UNASSIGNED_PER_PAGE = 1000


class Transfer(Request):
    handover_userid: str
    takeover_userid: str
    external_userid: list[str]


class OnJobTransfer(Transfer):
    transfer_success_msg: str = ""


class Begun(msgspec.Struct):
    external_userid: str
    errcode: int = 0


class TransfersBegun(Answer):
    customer: list[Begun] = []


class TransferQuery(Request):
    handover_userid: str
    takeover_userid: str
    cursor: str = ""


class Transferred(msgspec.Struct):
    """`status`: 1 taken over, 2 waiting, 3 refused, 4 the taker is full, 5 no record."""

    external_userid: str
    status: int = 0
    takeover_time: int = 0


class TransferResults(Page):
    customer: list[Transferred] = []


class UnassignedRequest(Request):
    page_size: int = 0
    cursor: str = ""


class Unassigned(msgspec.Struct):
    handover_userid: str
    external_userid: str
    dimission_time: int = 0


class UnassignedList(Page):
    info: list[Unassigned] = []
    is_last: bool = False


class GroupTransfer(Request):
    chat_id_list: list[str]
    new_owner: str


class GroupFailed(msgspec.Struct):
    chat_id: str
    errcode: int = 0


class GroupsTransferred(Answer):
    failed_chat_list: list[GroupFailed] = []


class BehaviorRequest(Request):
    start_time: int
    end_time: int
    userid: list[str] = []
    partyid: list[int] = []


class Behavior(msgspec.Struct):
    stat_time: int
    chat_cnt: int = 0
    message_cnt: int = 0
    reply_percentage: float | None = None  # percent; absent when there was no chat
    avg_reply_time: int | None = None  # minutes
    negative_feedback_cnt: int = 0
    new_apply_cnt: int = 0
    new_contact_cnt: int = 0


class Behaviors(Answer):
    behavior_data: list[Behavior] = []


# A transfer that is repeated is answered with 40129 for those under way: what became of one without an answer is looked
# up by its results instead.
TRANSFER = Api("externalcontact/transfer_customer", "POST", OnJobTransfer, TransfersBegun, repeatable=False)
TRANSFER_RESULT = Api("externalcontact/transfer_result", "POST", TransferQuery, TransferResults)
TRANSFER_OF_LEAVER = Api(
    "externalcontact/resigned/transfer_customer", "POST", Transfer, TransfersBegun, repeatable=False
)
TRANSFER_RESULT_OF_LEAVER = Api("externalcontact/resigned/transfer_result", "POST", TransferQuery, TransferResults)
UNASSIGNED = Api("externalcontact/get_unassigned_list", "POST", UnassignedRequest, UnassignedList)
TRANSFER_GROUPS_OF_LEAVER = Api(
    "externalcontact/groupchat/transfer", "POST", GroupTransfer, GroupsTransferred, repeatable=False
)
TRANSFER_GROUPS = Api(
    "externalcontact/groupchat/onjob_transfer", "POST", GroupTransfer, GroupsTransferred, repeatable=False
)
BEHAVIOR = Api("externalcontact/get_user_behavior_data", "POST", BehaviorRequest, Behaviors)
