"""Moments of customers: section 13. Like a mass message it is a task that each member publishes in the client."""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request
from hetang.connectors.wecom.protocol.messages import MediaFile, Text


class MomentLink(Request):
    title: str
    url: str
    media_id: str


class MomentAttachment(Request):
    """One kind only: up to nine images, or one video, or one link; media from `media/upload_attachment`."""

    msgtype: str
    image: MediaFile | None = None
    video: MediaFile | None = None
    link: MomentLink | None = None


class Senders(Request):
    user_list: list[str] = []
    department_list: list[int] = []


class Viewers(Request):
    tag_list: list[str] = []


class VisibleRange(Request):
    sender_list: Senders | None = None
    external_contact_list: Viewers | None = None


class AddMoment(Request):
    text: Text | None = None
    attachments: list[MomentAttachment] = []
    visible_range: VisibleRange | None = None


class JobId(Answer):
    jobid: str = ""


class JobQuery(Request):
    jobid: str


class MomentResult(msgspec.Struct):
    errcode: int = 0
    moment_id: str = ""
    invalid_sender_list: Senders = msgspec.field(default_factory=Senders)


class MomentJob(Answer):
    """`status`: 1 begun, 2 being created, 3 done."""

    status: int = 0
    result: MomentResult = msgspec.field(default_factory=MomentResult)


class MomentId(Request):
    moment_id: str


class MomentsRequest(Request):
    start_time: int
    end_time: int
    creator: str = ""
    filter_type: int = 2
    cursor: str = ""
    limit: int = 0


class Moment(msgspec.Struct):
    moment_id: str
    creator: str = ""
    create_time: int = 0
    create_type: int = 0
    visible_type: int = 1


class Moments(Page):
    moment_list: list[Moment] = []


class MomentTasksRequest(MomentId):
    cursor: str = ""
    limit: int = 0


class MomentTask(msgspec.Struct):
    userid: str
    publish_status: int = 0


class MomentTasks(Page):
    task_list: list[MomentTask] = []


class MomentOfMember(MomentId):
    userid: str
    cursor: str = ""
    limit: int = 0


class MomentCustomer(msgspec.Struct):
    external_userid: str = ""
    userid: str = ""
    create_time: int = 0


class MomentCustomers(Page):
    customer_list: list[MomentCustomer] = []


class CommentsRequest(MomentId):
    userid: str


class MomentComments(Answer):
    comment_list: list[MomentCustomer] = []
    like_list: list[MomentCustomer] = []


ADD_MOMENT = Api("externalcontact/add_moment_task", "POST", AddMoment, JobId, repeatable=False)
MOMENT_JOB = Api("externalcontact/get_moment_task_result", "GET", JobQuery, MomentJob)
CANCEL_MOMENT = Api("externalcontact/cancel_moment_task", "POST", MomentId, Answer)
MOMENTS = Api("externalcontact/get_moment_list", "POST", MomentsRequest, Moments)
MOMENT_TASKS = Api("externalcontact/get_moment_task", "POST", MomentTasksRequest, MomentTasks)
MOMENT_RANGE = Api("externalcontact/get_moment_customer_list", "POST", MomentOfMember, MomentCustomers)
MOMENT_VIEWERS = Api("externalcontact/get_moment_send_result", "POST", MomentOfMember, MomentCustomers)
MOMENT_COMMENTS = Api("externalcontact/get_moment_comments", "POST", CommentsRequest, MomentComments)
