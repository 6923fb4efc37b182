"""Callbacks: the address check, what is refused, and events that the simulator really sends."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client

from hetang.connectors.wecom import callbacks, events, inbox
from hetang.connectors.wecom.crypto import CallbackRefused
from hetang.connectors.wecom.models import App, CallbackMessage, CorpNotice, Pair, Welcome
from hetang.connectors.wecom.services import callback_path
from hetang.customers.models import Relation
from hetang.facts import subscriptions
from hetang.resources.models import Staff
from hetang.resources.rules import StoreRow
from hetang.resources.services import upsert_stores
from hetang.simulator import crypto as platform_side
from tests.simulator.world import AES_KEY, World

TOKEN = "token123"


def signed(encrypted: str) -> dict[str, str]:
    return {
        "timestamp": "1795400000",
        "nonce": "77",
        "msg_signature": platform_side.sign(TOKEN, "1795400000", "77", encrypted),
    }


def post(web: Client, app: App, clear: str, corpid: str = "ww0123456789abcdef", **changes: str) -> int:
    encrypted = platform_side.encrypt(AES_KEY, clear, corpid)
    query = {**signed(encrypted), **changes}
    body = f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    answer = web.post(
        f"{callback_path(app)}?" + "&".join(f"{name}={value}" for name, value in query.items()),
        body,
        content_type="text/xml",
    )
    return answer.status_code


def event(change: str, at: int = 1_795_400_000, external: str = "wmX", user: str = "anna", more: str = "") -> str:
    return (
        "<xml><ToUserName><![CDATA[ww0123456789abcdef]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
        f"<CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[{change}]]></ChangeType>"
        f"<UserID><![CDATA[{user}]]></UserID><ExternalUserID><![CDATA[{external}]]></ExternalUserID>{more}</xml>"
    )


def relation_facts() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select subject_key, body->>'staff', body->>'state', body->>'channel_state', who from facts_fact"
            " where kind = 'relation.changed' order by id"
        )
        return list(cursor.fetchall())


def test_address_check(web: Client, app: App) -> None:
    echo = platform_side.encrypt(AES_KEY, "5927782489442352469", "ww0123456789abcdef")
    answer = web.get(callback_path(app), {**signed(echo), "echostr": echo})
    assert (answer.status_code, answer.content) == (200, b"5927782489442352469")
    # The short way: neither session nor language, and still nothing that a browser could take for a page.
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == "19"
    assert not answer.cookies
    assert not {"Vary", "Content-Language"} & set(answer.headers)
    answer = web.get(callback_path(app), {**signed(echo), "echostr": echo, "msg_signature": "0" * 40})
    assert answer.status_code == 403


def test_of_many_at_once_each_is_kept_or_says_that_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    written, busy = list[str](), threading.Lock()

    def write(arrived: list[inbox.Arrived]) -> None:
        assert busy.acquire(blocking=False)  # one writes at a time
        try:
            time.sleep(0.0005)
            if any(one.dedupe_key.endswith("7") for one in arrived):
                raise OperationalError("gone")
            written.extend(one.dedupe_key for one in arrived)
        finally:
            busy.release()

    def keep(key: str) -> str:
        try:
            inbox.keep(inbox.Arrived(1, key, "", "", b""))
        except OperationalError:
            return ""
        return key

    monkeypatch.setattr(inbox, "_write_over_a_good_connection", write)
    monkeypatch.setattr(inbox, "_MOST", 3)
    with ThreadPoolExecutor(16) as pool:
        kept = [key for key in pool.map(keep, map(str, range(400)), timeout=60) if key]
    assert sorted(kept) == sorted(written)
    assert len(kept) >= 200
    assert (inbox._waiting, inbox._somebody_writes) == ([], False)


def test_an_event_is_kept_over_a_new_connection_when_the_old_one_has_ended(transactional_db: None, app: App) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with psycopg.connect(os.environ["HETANG_DATABASE_URL"], dbname=connection.settings_dict["NAME"]) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [pid])
    inbox.keep(inbox.Arrived(app.pk, "after", "change_external_contact", "add_external_contact", b"x", code=b"y"))
    assert CallbackMessage.objects.get().dedupe_key == "after"
    assert Welcome.objects.get().message.dedupe_key == "after"


def test_unknown_address(web: Client) -> None:
    assert web.get("/wecom/callback/7b4de1ce-5d13-4e3d-8f0e-0b9e42ad2d31").status_code == 404


@pytest.mark.parametrize("body", ["", "no xml", "<xml>", "<!DOCTYPE x [<!ENTITY a 'b'>]><xml>&a;</xml>", "<xml/>"])
def test_rubbish_is_refused(web: Client, app: App, body: str) -> None:
    answer = web.post(f"{callback_path(app)}?msg_signature=a&timestamp=1&nonce=2", body, content_type="text/xml")
    assert answer.status_code == 403
    assert CallbackMessage.objects.count() == 0


def test_another_corps_message_is_refused(web: Client, app: App) -> None:
    assert post(web, app, event("add_external_contact"), corpid="wwffffffffffffffff") == 403
    assert post(web, app, event("add_external_contact"), msg_signature="f" * 40) == 403


def test_one_event_delivered_three_times_is_one(web: Client, app: App) -> None:
    for _ in range(3):  # each with new random bytes, as the platform repeats them
        assert post(web, app, event("del_follow_user")) == 200
    assert CallbackMessage.objects.count() == 1
    assert callbacks.run_once() > 0
    assert post(web, app, event("del_follow_user")) == 200
    assert callbacks.run_once() > 0
    assert CallbackMessage.objects.get().state == "applied"
    assert relation_facts() == [("wmX", "anna", "lost_by_customer", "", None)]


def test_events_of_the_same_second_are_distinct(web: Client, app: App) -> None:
    for external in ("wmX", "wmY"):
        post(web, app, event("del_follow_user", external=external))
    post(web, app, event("del_external_contact"))
    callbacks.run_once()
    assert {fact[:3] for fact in relation_facts()} == {
        ("wmX", "anna", "lost_by_customer"),
        ("wmY", "anna", "lost_by_customer"),
        ("wmX", "anna", "lost_by_staff"),
    }


def other(name: str, change: str = "", more: str = "", at: int = 1_795_400_000) -> str:
    return (
        f"<xml><ToUserName>ww0123456789abcdef</ToUserName><CreateTime>{at}</CreateTime><MsgType>event</MsgType>"
        f"<Event>{name}</Event>" + (f"<ChangeType>{change}</ChangeType>" if change else "") + f"{more}</xml>"
    )


def test_other_events_are_kept_and_ignored(web: Client, app: App) -> None:
    post(web, app, other("enter_agent"))
    callbacks.run_once()
    assert list(CallbackMessage.objects.values_list("state", "event")) == [(CallbackMessage.IGNORED, "enter_agent")]
    assert relation_facts() == []


def test_what_somebody_should_know_is_noted(web: Client, app: App) -> None:
    post(web, app, other("customer_acquisition", "balance_low"))
    post(web, app, other("customer_acquisition", "link_unavailable", "<LinkId>ca1</LinkId>"))
    post(web, app, event("transfer_fail", more="<FailReason>customer_refused</FailReason>"))
    callbacks.run_once()
    assert set(CorpNotice.objects.values_list("kind", "detail__LinkId", "detail__FailReason")) == {
        ("customer_acquisition.balance_low", None, None),
        ("customer_acquisition.link_unavailable", "ca1", None),
        ("change_external_contact.transfer_fail", None, "customer_refused"),
    }


def test_members_and_departments_change(web: Client, app: App) -> None:
    upsert_stores([StoreRow(code="S9", name="Ninth")])
    more = "<UserID>zoe</UserID><Name>Zoe</Name><Department>77,78</Department><Status>1</Status>"
    post(web, app, other("change_contact", "create_party", "<Id>78</Id><Name>Ninth</Name><ParentId>1</ParentId>"))
    post(web, app, other("change_contact", "create_user", more, at=1_795_400_001))
    callbacks.run_once()
    zoe = Staff.objects.get(userid="zoe")
    assert (zoe.name, zoe.store.code, zoe.active) == ("Zoe", "S9", True)  # type: ignore[union-attr]
    post(web, app, event("add_half_external_contact", user="zoe"))
    renamed = "<UserID>zoe</UserID><NewUserID>zoe2</NewUserID>"
    post(web, app, other("change_contact", "update_user", renamed, at=1_795_400_002))
    callbacks.run_once()
    post(web, app, other("change_contact", "delete_user", "<UserID>zoe2</UserID>", at=1_795_400_003))
    callbacks.run_once()
    gone = Staff.objects.get(pk=zoe.pk)
    assert (gone.userid, gone.name, gone.active) == ("zoe2", "Zoe", False)
    assert not CallbackMessage.objects.exclude(state="applied").exists()


def test_an_edit_waits_for_wecom_and_can_be_applied_again(web: Client, app: App, world: World) -> None:
    world.admin.fault("drop_before", "externalcontact/get", times=3)
    post(web, app, event("edit_external_contact", external=world.people[0]))
    callbacks.run_once()
    (message,) = CallbackMessage.objects.all()
    assert (message.state, message.tries) == ("waiting", 1)
    assert "externalcontact/get" in message.error
    assert callbacks.run_once() > 0  # not before its time
    CallbackMessage.objects.update(again_at=None)
    callbacks.run_once()
    assert CallbackMessage.objects.get().state == "applied"
    assert callbacks.apply_again([message.pk]) == 1
    callbacks.run_once()
    assert CallbackMessage.objects.get().state == "applied"


@pytest.mark.django_db(transaction=True)  # streams read what is committed
def test_any_order_ends_the_same(web: Client, app: App, world: World) -> None:
    told = [
        event("add_external_contact", at=1_795_400_000, external=world.people[0]),
        event("del_follow_user", at=1_795_400_001, external=world.people[0]),
        event("add_external_contact", at=1_795_400_002, external=world.people[0]),
        event("del_external_contact", at=1_795_400_002, external=world.people[0]),
    ]
    ends = set()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        for place in order:
            post(web, app, told[place])
            callbacks.run_once()
        subscriptions.run_until_idle()
        relation = Relation.objects.get(external_userid=world.people[0])
        ends.add((relation.state, Pair.objects.get(external_userid=world.people[0]).standing))
    assert ends == {("lost_by_staff", "gone")}


def test_unknown_member_is_made(web: Client, app: App) -> None:
    post(web, app, event("del_follow_user", user="zoe"))
    callbacks.run_once()
    assert Staff.objects.get(userid="zoe").simulated


def test_new_friend_counts_though_wecom_does_not_answer(web: Client, app: App, world: World) -> None:
    world.admin.fault("error", "externalcontact/get", code=48002)
    post(web, app, event("add_external_contact", more="<State><![CDATA[door-7]]></State>"))
    callbacks.run_once()
    assert relation_facts() == [("wmX", "anna", "active", "door-7", None)]


def test_split_cdata_and_bare_text() -> None:
    fields = events.fields_of("<xml><A><![CDATA[a]]]]><![CDATA[>b]]></A><CreateTime>12</CreateTime></xml>")
    assert fields == {"A": "a]]>b", "CreateTime": "12"}
    with pytest.raises(CallbackRefused):
        events.fields_of("<xml")


def test_what_the_simulator_sends_is_understood(
    web: Client, app: App, world: World, receiver: tuple[str, list[Any]]
) -> None:
    url, waiting = receiver
    callback = {"callback_url": url, "callback_token": TOKEN, "callback_aes_key": AES_KEY}
    world.admin.corp("Lotus", [{"agentid": 1000002, **callback}])
    world.admin.settings(callback_duplicate_rate=1.0, callback_shuffle=True)
    world.admin.relate("add", "bo", world.people[0], state="door-7")
    world.admin.relate("delete_by_customer", "anna", world.people[1])
    deadline = time.monotonic() + 10
    while len(waiting) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(waiting) == 4
    for path, body in waiting:
        assert web.post(path, body, content_type="text/xml").status_code == 200
    callbacks.run_once()
    facts = {fact[0]: fact[1:] for fact in relation_facts()}
    unionid = world.call("externalcontact/get", external_userid=world.people[0])["external_contact"]["unionid"]
    assert facts == {
        world.people[0]: (
            *("bo", "active", "door-7"),
            f'[["external_userid", "{world.people[0]}"], ["unionid", "{unionid}"]]',
        ),
        world.people[1]: ("anna", "lost_by_customer", "", None),
    }


def test_silent_wecom_is_asked_once_a_batch(web: Client, app: App, world: World) -> None:
    world.admin.fault("drop_before", "externalcontact/get", times=100)
    for external in ("wmX", "wmY", "wmZ"):
        post(web, app, event("add_external_contact", external=external))
    callbacks.run_once()
    assert len(relation_facts()) == 3
    (left,) = world.admin.call("faults")["faults"]
    assert left["times"] == 97  # three tries for the first friend, none for the others
