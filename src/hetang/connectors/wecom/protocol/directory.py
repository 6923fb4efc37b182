"""Departments, members and the app itself: section 3."""

from __future__ import annotations

import msgspec

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Nothing, Page, Request

LEFT = 5  # a member's status


class DepartmentQuery(Request):
    id: int = 0


class Department(msgspec.Struct):
    id: int
    name: str = ""
    parentid: int = 0


class Departments(Answer):
    department: list[Department] = []


class MembersQuery(Request):
    department_id: int
    fetch_child: int = 0


class MemberQuery(Request):
    userid: str


class Member(msgspec.Struct):
    userid: str
    name: str = ""
    department: list[int] = []
    is_leader_in_dept: list[int] = []
    main_department: int = 0
    status: int = 1


class Members(Answer):
    userlist: list[Member] = []


class OneMember(Answer):
    userid: str = ""
    name: str = ""
    department: list[int] = []
    is_leader_in_dept: list[int] = []
    main_department: int = 0
    status: int = 1


class IdsRequest(Request):
    cursor: str = ""
    limit: int = 0


class Placed(msgspec.Struct):
    userid: str
    department: int = 0


class PlacedMembers(Page):
    dept_user: list[Placed] = []


class MobileRequest(Request):
    mobile: str


class UserId(Answer):
    userid: str = ""


class AgentQuery(Request):
    agentid: int


class AllowedUser(msgspec.Struct):
    userid: str


class AllowedUsers(msgspec.Struct):
    user: list[AllowedUser] = []


class AllowedDepartments(msgspec.Struct):
    partyid: list[int] = []


class AllowedTags(msgspec.Struct):
    tagid: list[int] = []


class Agent(Answer):
    name: str = ""
    close: int = 0
    redirect_domain: str = ""
    allow_userinfos: AllowedUsers = msgspec.field(default_factory=AllowedUsers)
    allow_partys: AllowedDepartments = msgspec.field(default_factory=AllowedDepartments)
    allow_tags: AllowedTags = msgspec.field(default_factory=AllowedTags)


DEPARTMENTS = Api("department/list", "GET", DepartmentQuery, Departments)
MEMBERS = Api("user/list", "GET", MembersQuery, Members)
MEMBER = Api("user/get", "GET", MemberQuery, OneMember)
MEMBER_IDS = Api("user/list_id", "POST", IdsRequest, PlacedMembers)
MEMBER_BY_MOBILE = Api("user/getuserid", "POST", MobileRequest, UserId)
AGENT = Api("agent/get", "GET", AgentQuery, Agent)


class FollowUsers(Answer):
    follow_user: list[str] = []


FOLLOW_USERS = Api("externalcontact/get_follow_user_list", "GET", Nothing, FollowUsers)
