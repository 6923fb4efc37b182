"""Customers and their relations to members: section 4.

What comes by the million is nothing that the garbage collector need look at: nothing here can be part of a cycle, and
looking cost a tenth of a sync.
"""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request

MEMBERS_PER_CALL = 100
CUSTOMERS_PER_PAGE = 100


class MemberQuery(Request):
    userid: str


class ExternalIds(Answer):
    external_userid: list[str] = []


class CustomerQuery(Request):
    external_userid: str
    cursor: str = ""


class ExternalContact(msgspec.Struct, gc=False):
    external_userid: str
    name: str = ""
    type: int = 1
    unionid: str = ""
    gender: int = 0
    avatar: str = ""


class TagOfFollow(msgspec.Struct, gc=False):
    tag_id: str = ""
    type: int = 1


class Follow(msgspec.Struct, gc=False):
    """`tags` come with one customer, `tag_id` with a page of customers: `tag_ids` reads both."""

    userid: str
    createtime: int = 0
    add_way: int = 0
    state: str = ""
    remark: str = ""
    tags: list[TagOfFollow] = []
    tag_id: list[str] = []

    @property
    def tag_ids(self) -> list[str]:
        return self.tag_id or [tag.tag_id for tag in self.tags if tag.tag_id]


class Contact(Page):
    external_contact: ExternalContact | None = None
    follow_user: list[Follow] = []


class MembersRequest(Request):
    userid_list: list[str]
    cursor: str = ""
    limit: int = 0


class ContactOfMember(msgspec.Struct, gc=False):
    external_contact: ExternalContact
    follow_info: Follow


class Unlicensed(msgspec.Struct):
    unlicensed_userid_list: list[str] = []


class ContactsOfMembers(Page):
    external_contact_list: list[ContactOfMember] = []
    fail_info: Unlicensed = msgspec.field(default_factory=Unlicensed)


class RemarkRequest(Request):
    userid: str
    external_userid: str
    remark: str = ""
    description: str = ""


class OpengidRequest(Request):
    opengid: str


class ChatId(Answer):
    chat_id: str = ""


class UnionidRequest(Request):
    unionid: str
    openid: str
    subject_type: int = 0


class ExternalIdOrPending(Answer):
    external_userid: str = ""
    pending_id: str = ""


CUSTOMER_IDS = Api("externalcontact/list", "GET", MemberQuery, ExternalIds)
CUSTOMER = Api("externalcontact/get", "GET", CustomerQuery, Contact)
CUSTOMERS = Api("externalcontact/batch/get_by_user", "POST", MembersRequest, ContactsOfMembers)
REMARK = Api("externalcontact/remark", "POST", RemarkRequest, Answer)
CHAT_OF_OPENGID = Api("externalcontact/opengid_to_chatid", "POST", OpengidRequest, ChatId)
CUSTOMER_BY_UNIONID = Api("idconvert/unionid_to_external_userid", "POST", UnionidRequest, ExternalIdOrPending)
