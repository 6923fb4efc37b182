"""Group chats of customers, and their welcome templates: sections 7 and 12."""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Page, Request
from hetang.connectors.wecom.protocol.messages import Image, Link, MediaFile, MiniProgram, Text

GROUPS_PER_PAGE = 1000
OWNERS_PER_CALL = 100


class OwnerFilter(Request):
    userid_list: list[str]


class GroupsRequest(Request):
    limit: int
    status_filter: int = 0
    owner_filter: OwnerFilter | None = None
    cursor: str = ""


class ListedGroup(msgspec.Struct):
    """`status`: 0 in order, 1 its owner left, 2 being handed over, 3 handed over."""

    chat_id: str
    status: int = 0


class ListedGroups(Page):
    group_chat_list: list[ListedGroup] = []


class GroupRequest(Request):
    chat_id: str
    need_name: int = 0


class Invitor(msgspec.Struct, gc=False):
    userid: str = ""


class GroupMember(msgspec.Struct, gc=False):
    """`type`: 1 member of the corp, 2 outsider. `join_scene`: 1 invited, 2 by a link, 3 by a code."""

    userid: str
    type: int = 2
    unionid: str = ""
    join_time: int = 0
    join_scene: int = 0
    invitor: Invitor = msgspec.field(default_factory=Invitor)
    state: str = ""
    name: str = ""


class Admin(msgspec.Struct):
    userid: str


class Group(msgspec.Struct):
    chat_id: str
    name: str = ""
    owner: str = ""
    create_time: int = 0
    notice: str = ""
    member_list: list[GroupMember] = []
    admin_list: list[Admin] = []
    member_version: str = ""


class OneGroup(Answer):
    group_chat: Group | None = None


class GroupFigures(msgspec.Struct):
    new_chat_cnt: int = 0
    chat_total: int = 0
    chat_has_msg: int = 0
    new_member_cnt: int = 0
    member_total: int = 0
    member_has_msg: int = 0
    msg_total: int = 0


class GroupStatisticRequest(Request):
    day_begin_time: int
    owner_filter: OwnerFilter
    day_end_time: int = 0
    order_by: int = 1
    order_asc: int = 0
    offset: int = 0
    limit: int = 0


class OwnerFigures(msgspec.Struct):
    owner: str
    data: GroupFigures = msgspec.field(default_factory=GroupFigures)


class GroupStatistic(Answer):
    total: int = 0
    next_offset: int = 0
    items: list[OwnerFigures] = []


class GroupDaysRequest(Request):
    day_begin_time: int
    owner_filter: OwnerFilter
    day_end_time: int = 0


class DayFigures(msgspec.Struct):
    stat_time: int
    data: GroupFigures = msgspec.field(default_factory=GroupFigures)


class GroupDays(Answer):
    items: list[DayFigures] = []


class WelcomeTemplate(Request):
    """Text and one other; `%NICKNAME%` in the text is replaced by the platform."""

    text: Text | None = None
    image: Image | None = None
    link: Link | None = None
    miniprogram: MiniProgram | None = None
    file: MediaFile | None = None
    video: MediaFile | None = None
    agentid: int = 0


class AddWelcomeTemplate(WelcomeTemplate):
    notify: int | None = None


class EditWelcomeTemplate(WelcomeTemplate, kw_only=True):
    template_id: str


class TemplateId(Answer):
    template_id: str = ""


class TemplateQuery(Request):
    template_id: str


class DeleteTemplate(TemplateQuery):
    agentid: int = 0


class StoredTemplate(Answer):
    text: Text | None = None
    image: Image | None = None
    link: Link | None = None
    miniprogram: MiniProgram | None = None


GROUPS = Api("externalcontact/groupchat/list", "POST", GroupsRequest, ListedGroups)
GROUP = Api("externalcontact/groupchat/get", "POST", GroupRequest, OneGroup)
GROUP_STATISTIC = Api("externalcontact/groupchat/statistic", "POST", GroupStatisticRequest, GroupStatistic)
GROUP_DAYS = Api("externalcontact/groupchat/statistic_group_by_day", "POST", GroupDaysRequest, GroupDays)
_TEMPLATE = "externalcontact/group_welcome_template"
ADD_TEMPLATE = Api(f"{_TEMPLATE}/add", "POST", AddWelcomeTemplate, TemplateId, repeatable=False)
EDIT_TEMPLATE = Api(f"{_TEMPLATE}/edit", "POST", EditWelcomeTemplate, Answer)
GET_TEMPLATE = Api(f"{_TEMPLATE}/get", "POST", TemplateQuery, StoredTemplate)
DELETE_TEMPLATE = Api(f"{_TEMPLATE}/del", "POST", DeleteTemplate, Answer)
