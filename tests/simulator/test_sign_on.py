"""Signing on, tickets of the JS-SDK, addresses of the platform."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp


def code_of(corp: Corp, **who: Any) -> str:
    return str(corp.act("authorise", **who)["code"])


def test_a_member_signs_on(corp: Corp) -> None:
    code = code_of(corp, userid="anna")
    assert corp.call("auth/getuserinfo", code=code) == {"errcode": 0, "errmsg": "ok", "userid": "anna"}
    assert corp.code("auth/getuserinfo", code=code) == 42022
    assert corp.code("auth/getuserinfo", code="none") == 40029
    late = code_of(corp, userid="anna")
    corp.admin.clock(301)
    assert corp.code("auth/getuserinfo", code=late) == 40029


def test_a_code_belongs_to_its_app(corp: Corp) -> None:
    assert corp.code("auth/getuserinfo", code=code_of(corp, agentid=1000009, userid="anna")) == 40029


def test_what_he_allows_to_be_told(corp: Corp) -> None:
    corp.admin.staff([{"userid": "eve", "name": "Eve", "mobile": "138", "gender": 2}])
    ticket = corp.call("auth/getuserinfo", code=code_of(corp, userid="eve", private=True))["user_ticket"]
    found = corp.call("auth/getuserdetail", {"user_ticket": ticket})
    assert (found["userid"], found["mobile"], found["gender"], "email" in found) == ("eve", "138", "2", False)
    assert corp.code("auth/getuserdetail", {"user_ticket": "none"}) == 84015
    corp.admin.clock(1801)
    assert corp.code("auth/getuserdetail", {"user_ticket": ticket}) == 84014


def test_people_outside(corp: Corp) -> None:
    customer = corp.call("auth/getuserinfo", code=code_of(corp, external_userid=corp.people[0]))
    assert (customer["external_userid"], customer["openid"][0]) == (corp.people[0], "o")
    assert "external_userid" not in corp.call("auth/getuserinfo", code=code_of(corp))
    old = corp.call("user/getuserinfo", code=code_of(corp, external_userid=corp.people[0]))
    assert (old["OpenId"], old["external_userid"]) == (customer["openid"], corp.people[0])
    assert corp.call("user/getuserinfo", code=code_of(corp, userid="bo"))["UserId"] == "bo"


def test_mini_program(corp: Corp) -> None:
    path = "miniprogram/jscode2session"
    code = code_of(corp, userid="bo", kind="miniprogram")
    assert corp.code("auth/getuserinfo", code=code) == 40029
    assert corp.code(path, js_code=code) == 40035
    found = corp.call(path, js_code=code, grant_type="authorization_code")
    assert (found["corpid"], found["userid"]) == (corp.corpid, "bo")


def test_tickets_stay_until_they_expire(corp: Corp) -> None:
    first = corp.call("get_jsapi_ticket")
    assert first["expires_in"] == 7200
    app = corp.call("ticket/get", type="agent_config")
    assert app["ticket"] != first["ticket"]
    corp.admin.clock(7000)
    again = corp.call("get_jsapi_ticket")
    assert (again["ticket"], again["expires_in"]) == (first["ticket"], pytest.approx(200, abs=60))
    corp.admin.clock(7201)
    corp.sign_in()
    assert corp.call("get_jsapi_ticket")["ticket"] != first["ticket"]
    assert corp.code("ticket/get", type="other") == 40058


def test_tickets_have_a_limit_of_their_own(corp: Corp) -> None:
    corp.admin.settings(calls_per_span={"get_jsapi_ticket": [[3600, 2]]})
    assert [corp.code("get_jsapi_ticket") for _ in range(3)] == [0, 0, 45009]


def test_addresses(corp: Corp) -> None:
    assert corp.call("get_api_domain_ip")["ip_list"] == ["127.0.0.1"]
    assert corp.call("getcallbackip")["ip_list"] == ["127.0.0.*"]
