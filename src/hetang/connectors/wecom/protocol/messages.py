"""Mass messages, the welcome to a new customer, and messages to staff: sections 10, 11 and 18."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request


class Text(Request):
    content: str


class Image(Request):
    """`media_id` wins; `pic_url` must come from `media/uploadimg`."""

    media_id: str = ""
    pic_url: str = ""


class Link(Request):
    title: str
    url: str
    desc: str = ""
    picurl: str = ""


class MiniProgram(Request):
    title: str
    pic_media_id: str
    appid: str
    page: str


class MediaFile(Request):
    media_id: str


class Attachment(Request):
    """One of the kinds, named by `msgtype`."""

    msgtype: str
    image: Image | None = None
    link: Link | None = None
    miniprogram: MiniProgram | None = None
    video: MediaFile | None = None
    file: MediaFile | None = None


class TagList(Request):
    tag_list: list[str]


class TagFilter(Request):
    group_list: list[TagList]


class TaskRequest(Request):
    chat_type: str
    sender: str = ""
    external_userid: list[str] = []
    chat_id_list: list[str] = []
    tag_filter: TagFilter | None = None
    allow_select: bool = False
    text: Text | None = None
    attachments: list[Attachment] = []


class TaskMade(Answer):
    msgid: str = ""
    fail_list: list[str] = []


class TasksRequest(Request):
    chat_type: str
    start_time: int
    end_time: int
    filter_type: int = 2
    limit: int = 0
    cursor: str = ""


class GroupMessage(msgspec.Struct):
    """`create_type`: 0 of the corp (by the API without a `creator`), 1 a member's own. `create_time` is a text."""

    msgid: str
    creator: str = ""
    create_time: int | str = 0
    create_type: int = 0
    text: dict[str, Any] = {}
    attachments: list[dict[str, Any]] = []


class GroupMessages(Page):
    group_msg_list: list[GroupMessage] = []


class TaskQuery(Request):
    msgid: str
    limit: int = 0
    cursor: str = ""


class SenderTask(msgspec.Struct):
    userid: str
    status: int = 0
    send_time: int = 0


class SenderTasks(Page):
    task_list: list[SenderTask] = []


class ResultsQuery(TaskQuery, kw_only=True):
    userid: str


class SendResult(msgspec.Struct):
    external_userid: str = ""
    chat_id: str = ""
    userid: str = ""
    status: int = 0
    send_time: int = 0


class SendResults(Page):
    send_list: list[SendResult] = []


class MessageId(Request):
    msgid: str


class Welcome(Request):
    """Once, within 20 seconds of the event that brought the code."""

    welcome_code: str
    text: Text | None = None
    attachments: list[Attachment] = []


class TextCard(Request):
    title: str
    description: str
    url: str
    btntxt: str = ""


class Markdown(Request):
    content: str


class AgentMessage(Request):
    """To staff: `touser` is "a|b" or "@all"; the platform drops over 30 a minute and 1,000 an hour to one of them."""

    msgtype: str
    agentid: int
    touser: str = ""
    toparty: str = ""
    totag: str = ""
    text: Text | None = None
    textcard: TextCard | None = None
    markdown: Markdown | None = None
    enable_duplicate_check: int = 0
    duplicate_check_interval: int = 0


class AgentMessageSent(Answer):
    """Receivers who got nothing, "a|b"; all invalid is an error (81013)."""

    msgid: str = ""
    invaliduser: str = ""
    invalidparty: str = ""
    unlicenseduser: str = ""


# A task made twice is a message sent twice: a lost answer is never repeated blindly.
MAKE_TASK = Api("externalcontact/add_msg_template", "POST", TaskRequest, TaskMade, repeatable=False)
TASKS = Api("externalcontact/get_groupmsg_list_v2", "POST", TasksRequest, GroupMessages)
TASK_SENDERS = Api("externalcontact/get_groupmsg_task", "POST", TaskQuery, SenderTasks)
TASK_RESULTS = Api("externalcontact/get_groupmsg_send_result", "POST", ResultsQuery, SendResults)
REMIND = Api("externalcontact/remind_groupmsg_send", "POST", MessageId, Answer, repeatable=False)
CANCEL = Api("externalcontact/cancel_groupmsg_send", "POST", MessageId, Answer)
# A code works once, so a repeated welcome cannot be a second one: WeCom answers 41051.
WELCOME = Api("externalcontact/send_welcome_msg", "POST", Welcome, Answer)
TELL_STAFF = Api("message/send", "POST", AgentMessage, AgentMessageSent, repeatable=False)
RECALL = Api("message/recall", "POST", MessageId, Answer)
