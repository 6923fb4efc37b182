"""Changing all customers of a filter: what the pages show and let somebody do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from hetang.customers.models import BulkChange, CustomerTag
from hetang.facts.subscriptions import run_once
from hetang.platform import jobs
from hetang.platform.models import Approval, ApprovalRule, JobRun
from hetang.platform.roles import HEADQUARTERS, STORE_MANAGER
from tests.console import people
from tests.console.cast import Cast, user
from tests.console.conftest import client_of, empty_everything

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def customers(cast: Cast) -> Any:
    people.come_in(cast)
    jobs.register_all()
    yield
    empty_everything()


def prepared(browser: Client, address: str = "", **values: str) -> BulkChange:
    answer = browser.post(f"/customers/bulk/new{address}", {"kind": "tag_on", "tag": "tea"} | values)
    assert answer.status_code == 302, answer.content.decode()
    return BulkChange.objects.get(public_id=answer.headers["Location"].split("/")[-2])


def said(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def at(change: BulkChange, verb: str = "") -> str:
    return f"/customers/bulk/{change.public_id}/{verb}"


def test_from_the_filtered_list_to_the_end_and_back(headquarters: Client) -> None:
    page = headquarters.get("/customers/?store=A").content.decode()
    assert "/customers/bulk/new?store=A" in page
    assert "/customers/bulk/new" not in headquarters.get("/customers/?q=m1").content.decode()
    assert "Store A" in said(headquarters.get("/customers/bulk/new?store=A"))
    change = prepared(headquarters, "?store=A")
    shown = said(headquarters.get(at(change)))
    assert "2 customers change; for 0 it is so already" in shown and "王**" in shown and "13812345678" not in shown
    assert not CustomerTag.objects.filter(tag__code="tea").exists()
    headquarters.post(at(change, "start"))
    assert "Running" in said(headquarters.get(at(change)))
    jobs.run_waiting()
    run_once()
    assert CustomerTag.objects.filter(tag__code="tea", on=True).count() == 2
    assert JobRun.objects.get().title == "Put on “Likes tea” · 2 customers"
    assert "2 customers get back what held before" in said(headquarters.get(at(change)))
    headquarters.post(at(change, "undo"))
    jobs.run_waiting()
    run_once()
    assert not CustomerTag.objects.filter(tag__code="tea", on=True).exists()
    assert "Undone" in said(headquarters.get(at(change)))
    assert "Put on “Likes tea”" in said(headquarters.get("/customers/bulk/"))


def test_stopping_halfway_is_said_with_the_ways_on(headquarters: Client) -> None:
    change = prepared(headquarters)
    headquarters.post(at(change, "start"))
    JobRun.objects.update(state=JobRun.CANCELLED)
    assert "Stopped halfway" in said(headquarters.get(at(change)))
    headquarters.post(at(change, "continue"))
    jobs.run_waiting()
    change.refresh_from_db()
    assert (change.state, change.changed) == (BulkChange.DONE, 3)


def test_what_cannot_be_is_said(headquarters: Client) -> None:
    for values, sentence in (
        ({"kind": "tag_on", "tag": ""}, "Choose a tag"),
        ({"kind": "tag_on", "tag": "nonsense"}, "Choose a tag"),
        ({"kind": "do_not_disturb", "until": "2020-01-01"}, "This day has passed"),
        ({"kind": "nonsense", "tag": "tea"}, "Choose a tag"),
    ):
        answer = headquarters.post("/customers/bulk/new", values)
        assert answer.status_code == 422 and sentence in said(answer)
    answer = headquarters.post("/customers/bulk/new?store=nowhere", {"kind": "tag_on", "tag": "tea"})
    assert "Nobody whom you may change fits" in said(answer)
    change = prepared(headquarters)
    headquarters.post(at(change, "discard"))
    assert not BulkChange.objects.exists()


def test_a_manager_changes_her_store_and_nobody_elses(cast: Cast, manager: Client, headquarters: Client) -> None:
    change = prepared(manager)
    assert change.people == 2
    for browser in (client_of(user("other", STORE_MANAGER, cast.store_b.org_node)), client_of(cast.nobody)):
        assert browser.get(at(change)).status_code == 404
    for verb in ("start", "undo", "continue", "ask", "discard"):
        assert headquarters.post(at(change, verb)).status_code == 403  # seen, but prepared by somebody else
        assert client_of(cast.nobody).post(at(change, verb)).status_code == 403
    assert headquarters.get(at(change)).status_code == 200
    assert client_of(cast.nobody).get("/customers/bulk/new").status_code == 403


def test_above_the_threshold_a_colleague_approves(cast: Cast, headquarters: Client) -> None:
    ApprovalRule.objects.create(kind="customers.bulk", role=HEADQUARTERS, over=2)
    change = prepared(headquarters)
    page = headquarters.get(at(change)).content.decode()
    assert "more than 2 need somebody else's approval" in page and at(change, "start") not in page
    headquarters.post(at(change, "start"))
    headquarters.post(at(change, "ask"), {"note": "for the festival"})
    question = Approval.objects.get()
    second = client_of(user("second", HEADQUARTERS, cast.root))
    assert "Likes tea" in said(second.get(f"/approvals/{question.public_id}/"))
    second.post(f"/approvals/{question.public_id}/decide", {"decision": "approve", "content": question.content_hash})
    headquarters.post(at(change, "start"))
    jobs.run_waiting()
    change.refresh_from_db()
    assert change.changed == 3
