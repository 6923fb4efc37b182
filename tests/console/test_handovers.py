"""The pages of hand-overs and of friends lost."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from hetang.connectors.wecom.errors import NotSent
from hetang.connectors.wecom.handover import judging
from hetang.connectors.wecom.models import App, Corp, Handover, HandoverItem, Pair
from hetang.customers.models import Customer, Identity, Relation
from hetang.platform import clock, jobs
from hetang.platform.models import AuditEntry, JobRun
from hetang.platform.sealing import seal
from hetang.resources.models import Staff
from tests.console.cast import Cast

NAMES = ("王小梅", "李雷", "韩梅梅")


@pytest.fixture
def corp(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Corp:
    """Anna has three friends; WeCom says that she and Bela may serve customers."""
    now = clock.now()
    corp = Corp.objects.create(corpid="ww1", is_default=True, created_at=now)
    App.objects.create(corp=corp, agentid=1, secret=seal(b"x"), changed_at=now)
    for number, name in enumerate(NAMES, 1):
        key = f"wm{number}"
        customer = Customer.objects.create(
            number=number, created_at=now, home_store=cast.store_a, name=seal(name.encode()), name_at=now, name_fact="t"
        )
        Identity.objects.create(
            kind="external_userid", key=key, customer=customer, evidence_number=number, first_seen_at=now
        )
        Pair.objects.create(corp=corp, userid="anna", external_userid=key, friends_since=now, told_at=now)
    serving = SimpleNamespace(follow_user=["anna", "bela"])
    monkeypatch.setattr(judging, "client_of", lambda _app: SimpleNamespace(call=lambda _api: serving))
    monkeypatch.setattr("hetang.connectors.wecom.handover.leavers.refresh", lambda _app: 0)
    return corp


def sent(cast: Cast, **more: Any) -> dict[str, Any]:
    return {"customers": "on", "groups": "on", "rule": "one", "taker": str(cast.bela.public_id), **more}


def test_from_the_list_of_who_left_to_the_job(cast: Cast, corp: Corp, headquarters: Client) -> None:
    assert "Nobody who left has customers any more" in headquarters.get("/handovers/").text
    Staff.objects.filter(pk=cast.anna.pk).update(active=False)
    page = headquarters.get("/handovers/").text
    address = f"/handovers/new?staff={cast.anna.public_id}"
    assert address in page
    assert "Bela · Store B" in headquarters.get(address).text
    page = headquarters.post(address, sent(cast), follow=True).text
    assert "Hand-over of Anna" in page
    assert "Waiting to start" in page
    assert "Customers handed over" not in page
    jobs.run_waiting()
    page = headquarters.get(f"/handovers/{Handover.objects.get().public_id}/").text
    assert "Customers handed over: 3. Group chats handed over: 0." in page
    assert NAMES[0] not in page
    assert "王**" in page
    handover = Handover.objects.get()
    headquarters.post(f"/handovers/{handover.public_id}/start")
    job = JobRun.objects.get(kind="wecom.handover")
    assert "Waiting to start" in headquarters.get(f"/handovers/{handover.public_id}/").text
    jobs.cancel(job)
    page = headquarters.get(f"/handovers/{handover.public_id}/").text
    assert "It was stopped before its end" in page
    headquarters.post(f"/handovers/{handover.public_id}/give-up")
    assert set(HandoverItem.objects.values_list("state", "reason")) == {("left_out", "given_up")}
    page = headquarters.get(f"/handovers/{handover.public_id}/?state=done").text
    assert "None is in this state." in page
    actions = AuditEntry.objects.filter(target_type="handover").order_by("id").values_list("action", flat=True)
    assert list(actions.exclude(action="look.list")) == ["handover.prepared", "handover.started", "handover.given_up"]


def test_who_chose_nothing_is_told_what_to_choose(cast: Cast, corp: Corp, headquarters: Client) -> None:
    address = f"/handovers/new?staff={cast.anna.public_id}"
    answer = headquarters.post(address, {"rule": "one"})
    assert answer.status_code == 422
    assert "Choose customers, group chats, or both." in answer.text
    assert "Choose who takes over." in answer.text
    assert "Choose the store" in headquarters.post(address, {"customers": "on", "rule": "shared"}).text
    assert headquarters.get("/handovers/new").status_code == 404
    assert headquarters.get("/handovers/new?staff=x").status_code == 404


def test_it_is_shared_out_within_the_store(cast: Cast, corp: Corp, headquarters: Client) -> None:
    Staff.objects.create(userid="bela2", name="Berta", store=cast.store_b, org_node=cast.store_b.org_node)
    body = {"customers": "on", "rule": "shared", "store": str(cast.store_b.public_id)}
    headquarters.post(f"/handovers/new?staff={cast.anna.public_id}", body)
    jobs.run_waiting()
    page = headquarters.get(f"/handovers/{Handover.objects.get().public_id}/").text
    assert "Berta" not in page  # WeCom does not let her serve customers
    assert HandoverItem.objects.filter(taker=cast.bela, state="planned").count() == 3


def test_without_wecom_nothing_is_prepared(
    cast: Cast, corp: Corp, headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_app: App) -> None:
        raise NotSent("x")

    monkeypatch.setattr(judging, "client_of", away)
    headquarters.post(f"/handovers/new?staff={cast.anna.public_id}", sent(cast))
    jobs.run_waiting()
    address = f"/handovers/{Handover.objects.get().public_id}/"
    assert "WeCom does not answer, or refuses the app." in headquarters.get(address).text
    serving = SimpleNamespace(follow_user=["anna", "bela"])
    monkeypatch.setattr(judging, "client_of", lambda _app: SimpleNamespace(call=lambda _api: serving))
    headquarters.post(f"{address}prepare")
    jobs.cancel(JobRun.objects.latest("id"))
    page = headquarters.get(address).text
    assert "Preparing was stopped before its end." in page
    assert "Prepare again" in page
    headquarters.post(f"{address}prepare")
    jobs.run_waiting()
    assert "Customers handed over: 3. Group chats handed over: 0." in headquarters.get(address).text


def test_what_is_discarded_is_gone(cast: Cast, corp: Corp, headquarters: Client) -> None:
    headquarters.post(f"/handovers/new?staff={cast.anna.public_id}", sent(cast))
    handover = Handover.objects.get()
    page = headquarters.post(f"/handovers/{handover.public_id}/discard", follow=True).text
    assert "It is still running." in page
    jobs.run_waiting()
    page = headquarters.post(f"/handovers/{handover.public_id}/discard", follow=True).text
    assert "Discarded. Nothing was handed over." in page
    assert not Handover.objects.exists()


def test_store_managers_hand_nothing_over_and_see_their_own_losses(
    cast: Cast, corp: Corp, manager: Client, headquarters: Client
) -> None:
    assert manager.get("/handovers/").status_code == 403
    assert "Nobody lost a customer in thirty days" in manager.get("/handovers/lost").text
    now = clock.now()
    for staff, number in ((cast.anna, 1), (cast.bela, 2)):
        Relation.objects.create(
            customer_id=number,
            staff=staff,
            external_userid=f"wm{number}",
            state=Relation.LOST_BY_CUSTOMER,
            since=now,
            occurred_at=now - timedelta(days=1),
            fact_key="t",
        )
    page = manager.get("/handovers/lost").text
    assert "Anna" in page
    assert "Bela" not in page
    assert "To the hand-overs" not in page
    page = headquarters.get("/handovers/lost?order=share").text
    assert "Anna" in page
    assert "Bela" in page
    assert "To the hand-overs" in page
