"""Approvals in the browser's words: asked on the broadcast, decided in the inbox, seen on the home page."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.audiences.models import Audience
from hetang.campaigns.models import Broadcast
from hetang.platform import approvals
from hetang.platform.access import system
from hetang.platform.models import Approval, ApprovalRule
from hetang.platform.roles import ANALYST, HEADQUARTERS
from tests.console.cast import Cast, user
from tests.console.conftest import client_of
from tests.console.test_campaigns import audience, campaign_made, composition, fake_wecom, still, text_of

__all__ = ["audience", "fake_wecom", "still"]


@pytest.fixture
def colleague(cast: Cast) -> Client:
    return client_of(user("colleague", HEADQUARTERS, cast.root))


def asked(headquarters: Client, audience: Audience) -> str:
    """A broadcast over 50 people for which more than 20 need approval, asked for; its address."""
    approvals.set_limits(system("t"), approvals.BROADCAST, {HEADQUARTERS: 20})
    headquarters.post("/campaigns/broadcasts/new", composition(campaign_made(headquarters), audience))
    at = f"/campaigns/broadcasts/{Broadcast.objects.get().public_id}/"
    headquarters.post(f"{at}split")
    page = text_of(headquarters.get(f"{at}split"))
    assert "more than 20 need somebody else's approval" in page.replace("&#x27;", "'")
    assert "Confirm and send" not in page
    assert "Asked." in text_of(headquarters.post(f"{at}ask", {"note": "Spring"}, follow=True))
    return at


def test_from_the_question_to_the_sending(headquarters: Client, colleague: Client, audience: Audience) -> None:
    at = asked(headquarters, audience)
    assert "More than 20 people" not in text_of(headquarters.get(f"{at}split"))
    assert "waiting for an answer" in text_of(headquarters.get(f"{at}split"))
    assert "It waits for approval" in text_of(headquarters.post(f"{at}send", follow=True))
    assert "1 approval waits for you." in text_of(colleague.get("/"))
    assert "First flush" in text_of(colleague.get("/approvals/"))
    one = Approval.objects.get()
    page = text_of(colleague.get(f"/approvals/{one.public_id}/"))
    for said in ("New tea is here", "https://shop.example/tea", "Spring", "more than 20 need approval"):
        assert said in page
    colleague.post(f"/approvals/{one.public_id}/decide", {"decision": "approve", "content": one.content_hash})
    assert "is approved: go on with it" in text_of(headquarters.get("/"))
    page = text_of(headquarters.get(f"{at}split"))
    assert "Approved by colleague" in page
    assert "Confirm and send" in page
    assert headquarters.post(f"{at}send")["Location"] == f"{at}progress"
    one.refresh_from_db()
    assert one.state == Approval.USED


def test_a_refusal_carries_its_reason(headquarters: Client, colleague: Client, audience: Audience) -> None:
    at = asked(headquarters, audience)
    one = Approval.objects.get()
    decide = f"/approvals/{one.public_id}/decide"
    assert "Say why you refuse it" in text_of(colleague.post(decide, {"content": one.content_hash}, follow=True))
    colleague.post(decide, {"content": one.content_hash, "answer": "Wrong price"})
    page = text_of(headquarters.get(f"{at}split"))
    assert "Refused by colleague" in page
    assert "Wrong price" in page
    assert "It was refused" in text_of(headquarters.post(f"{at}send", follow=True))


def test_the_asker_cannot_decide_and_a_page_that_is_too_old_does_not(
    headquarters: Client, colleague: Client, audience: Audience
) -> None:
    asked(headquarters, audience)
    one = Approval.objects.get()
    decide = f"/approvals/{one.public_id}/decide"
    assert "somebody else decides" in text_of(headquarters.get(f"/approvals/{one.public_id}/"))
    headquarters.post(decide, {"decision": "approve", "content": one.content_hash})
    colleague.post(decide, {"decision": "approve", "content": "another"})
    one.refresh_from_db()
    assert one.state == Approval.OPEN
    assert colleague.post(f"/approvals/{one.public_id}/withdraw").status_code == 403
    headquarters.post(f"/approvals/{one.public_id}/withdraw")
    one.refresh_from_db()
    assert one.state == Approval.WITHDRAWN


def test_who_has_nothing_to_do_with_it_does_not_see_it(headquarters: Client, cast: Cast, audience: Audience) -> None:
    asked(headquarters, audience)
    one = Approval.objects.get()
    for stranger in (client_of(cast.manager_a), client_of(user("analyst", ANALYST, cast.root))):
        assert "First flush" not in text_of(stranger.get("/approvals/"))
        assert stranger.get(f"/approvals/{one.public_id}/").status_code == 404
        assert stranger.post(f"/approvals/{one.public_id}/decide", {"decision": "approve"}).status_code == 404


def test_the_rules_page_sets_numbers_and_refuses_words(headquarters: Client, cast: Cast) -> None:
    page = headquarters.get("/settings/approval-rules/").content.decode()
    assert 'name="broadcast.send-region"' in page
    answer = headquarters.post("/settings/approval-rules/", {"broadcast.send-region": "many"})
    assert answer.status_code == 422
    assert "Enter a whole number" in answer.content.decode()
    assert not ApprovalRule.objects.exists()
    values = {"broadcast.send-region": "2,500", "broadcast.send-headquarters": "", "broadcast.send-others": "1000"}
    headquarters.post("/settings/approval-rules/", values)
    assert approvals.limits_of(approvals.BROADCAST) == {"headquarters": None, "region": 2500, "": 1000}
    assert (
        client_of(user("operator", HEADQUARTERS, cast.root))
        .post("/settings/approval-rules/", values | {"broadcast.send-region": "1"})
        .status_code
        == 403
    )
