"""The calls we make, typed. Unknown fields of answers are ignored, absent ones have defaults (they are never null)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec


class Answer(msgspec.Struct):
    """The envelope of every answer. A missing errcode counts as 0."""

    errcode: int = 0


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Api(Generic[A]):
    """One API. `repeatable`: doing it twice changes nothing, so a lost answer is simply asked for again."""

    path: str
    method: str
    answer: type[A]
    repeatable: bool = True


class Token(Answer):
    access_token: str = ""
    expires_in: int = 0


class Department(msgspec.Struct):
    id: int
    name: str = ""
    parentid: int = 0


class Departments(Answer):
    department: list[Department] = []


class Member(msgspec.Struct):
    userid: str
    name: str = ""
    department: list[int] = []
    status: int = 1


class Members(Answer):
    userlist: list[Member] = []


class FollowUsers(Answer):
    follow_user: list[str] = []


class ExternalIds(Answer):
    external_userid: list[str] = []


class ExternalContact(msgspec.Struct):
    external_userid: str
    name: str = ""
    type: int = 1
    unionid: str = ""


class Follow(msgspec.Struct):
    userid: str
    createtime: int = 0
    add_way: int = 0
    state: str = ""


class Contact(Answer):
    external_contact: ExternalContact | None = None
    follow_user: list[Follow] = []
    next_cursor: str = ""


class ContactOfMember(msgspec.Struct):
    external_contact: ExternalContact
    follow_info: Follow


class ContactsOfMembers(Answer):
    external_contact_list: list[ContactOfMember] = []
    next_cursor: str = ""


class TaskMade(Answer):
    msgid: str = ""
    fail_list: list[str] = []


class GroupMessage(msgspec.Struct):
    msgid: str
    text: dict[str, Any] = {}
    attachments: list[dict[str, Any]] = []


class GroupMessages(Answer):
    group_msg_list: list[GroupMessage] = []
    next_cursor: str = ""


class SenderTask(msgspec.Struct):
    userid: str
    status: int = 0
    send_time: int = 0


class SenderTasks(Answer):
    task_list: list[SenderTask] = []
    next_cursor: str = ""


class SendResult(msgspec.Struct):
    external_userid: str = ""
    userid: str = ""
    status: int = 0
    send_time: int = 0


class SendResults(Answer):
    send_list: list[SendResult] = []
    next_cursor: str = ""


class ImageUrl(Answer):
    url: str = ""


class MediaId(Answer):
    media_id: str = ""


GET_TOKEN = Api("gettoken", "GET", Token)
DEPARTMENTS = Api("department/list", "GET", Departments)
MEMBERS = Api("user/list", "GET", Members)
FOLLOW_USERS = Api("externalcontact/get_follow_user_list", "GET", FollowUsers)
CUSTOMER_IDS = Api("externalcontact/list", "GET", ExternalIds)
CUSTOMER = Api("externalcontact/get", "GET", Contact)
CUSTOMERS = Api("externalcontact/batch/get_by_user", "POST", ContactsOfMembers)
# A task made twice is a message sent twice: a lost answer is never repeated blindly.
MAKE_TASK = Api("externalcontact/add_msg_template", "POST", TaskMade, repeatable=False)
TASKS = Api("externalcontact/get_groupmsg_list_v2", "POST", GroupMessages)
TASK_SENDERS = Api("externalcontact/get_groupmsg_task", "POST", SenderTasks)
TASK_RESULTS = Api("externalcontact/get_groupmsg_send_result", "POST", SendResults)
REMIND = Api("externalcontact/remind_groupmsg_send", "POST", Answer, repeatable=False)
CANCEL = Api("externalcontact/cancel_groupmsg_send", "POST", Answer)
UPLOAD_IMAGE = Api("media/uploadimg", "POST", ImageUrl)
UPLOAD_MEDIA = Api("media/upload", "POST", MediaId)
