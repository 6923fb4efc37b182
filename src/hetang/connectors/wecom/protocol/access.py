"""Tokens, sign-on (OAuth) and tickets of the JS-SDK: sections 1.2, 21 and 22."""

from __future__ import annotations

from hetang.connectors.wecom.protocol.envelope import Answer, Api, Nothing, Request


class TokenRequest(Request):
    corpid: str
    corpsecret: str


class Token(Answer):
    access_token: str = ""
    expires_in: int = 0


class CodeRequest(Request):
    code: str


class SignedOn(Answer):
    """A member has a `userid`, an outsider an `openid` and, where she is a customer, an `external_userid`."""

    userid: str = ""
    user_ticket: str = ""
    openid: str = ""
    external_userid: str = ""


class TicketRequest(Request):
    user_ticket: str


class PrivateInfo(Answer):
    userid: str = ""
    gender: str = ""
    avatar: str = ""
    mobile: str = ""
    email: str = ""
    biz_mail: str = ""


class AppTicketRequest(Request):
    type: str


class Ticket(Answer):
    ticket: str = ""
    expires_in: int = 0


class Addresses(Answer):
    ip_list: list[str] = []


GET_TOKEN = Api("gettoken", "GET", TokenRequest, Token)
SIGN_ON = Api("auth/getuserinfo", "GET", CodeRequest, SignedOn, repeatable=False)  # a code works once
PRIVATE_INFO = Api("auth/getuserdetail", "POST", TicketRequest, PrivateInfo)
CORP_TICKET = Api("get_jsapi_ticket", "GET", Nothing, Ticket)
APP_TICKET = Api("ticket/get", "GET", AppTicketRequest, Ticket)
API_ADDRESSES = Api("get_api_domain_ip", "GET", Nothing, Addresses)
CALLBACK_ADDRESSES = Api("getcallbackip", "GET", Nothing, Addresses)
