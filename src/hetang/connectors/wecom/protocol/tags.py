"""Tags of the corp: section 8. A tag belongs to a pair of member and customer."""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Request

MARKS_AT_ONCE = 5  # official answer: mark_tag takes at most five in flight


class TagQuery(Request):
    tag_id: list[str] = []
    group_id: list[str] = []


class CorpTag(msgspec.Struct):
    id: str
    name: str = ""
    order: int = 0
    deleted: bool = False


class CorpTagGroup(msgspec.Struct):
    group_id: str
    group_name: str = ""
    order: int = 0
    deleted: bool = False
    tag: list[CorpTag] = []


class CorpTags(Answer):
    tag_group: list[CorpTagGroup] = []


class NewTag(Request):
    name: str
    order: int = 0


class AddTags(Request):
    tag: list[NewTag]
    group_id: str = ""
    group_name: str = ""
    agentid: int = 0


class AddedTags(Answer):
    tag_group: CorpTagGroup | None = None


class EditTag(Request):
    id: str
    name: str = ""
    order: int = 0
    agentid: int = 0


class DeleteTags(Request):
    tag_id: list[str] = []
    group_id: list[str] = []
    agentid: int = 0


class Mark(Request):
    userid: str
    external_userid: str
    add_tag: list[str] = []
    remove_tag: list[str] = []


CORP_TAGS = Api("externalcontact/get_corp_tag_list", "POST", TagQuery, CorpTags)
ADD_TAGS = Api("externalcontact/add_corp_tag", "POST", AddTags, AddedTags, repeatable=False)
EDIT_TAG = Api("externalcontact/edit_corp_tag", "POST", EditTag, Answer)
DELETE_TAGS = Api("externalcontact/del_corp_tag", "POST", DeleteTags, Answer, repeatable=False)
MARK = Api("externalcontact/mark_tag", "POST", Mark, Answer, at_once=MARKS_AT_ONCE)
