"""The page of what WeCom costs."""

from __future__ import annotations

from django.test import Client

from hetang.connectors.wecom.models import Corp, CorpCost
from hetang.platform import clock
from hetang.platform.models import JobRun

SAID = {"free_people": "2000", "fee_per_thousand": "98.50", "customers_per_member": "20000"}


def test_measured_and_configured_figures_are_told_apart(headquarters: Client, manager: Client) -> None:
    address = "/settings/wecom/cost/"
    assert "WeCom is not connected" in headquarters.get(address).text
    corp = Corp.objects.create(corpid="ww1", is_default=True, created_at=clock.now())
    assert "Nothing has been counted yet" in headquarters.get(address).text
    assert manager.get(address).status_code == 403
    headquarters.post(f"{address}count")
    headquarters.post(f"{address}count")
    assert JobRun.objects.filter(kind="wecom.cost").count() == 1
    CorpCost.objects.create(corp=corp, counted_at=clock.now(), friends=12_000, group_only=500, new_in_30_days=3_000)
    page = headquarters.post(address, {**SAID, "bought_people": "11000", "link_price": "1.5"}, follow=True).text
    assert "Saved." in page
    assert "¥1,083.50" in page  # eleven packs of a thousand at 98.50
    assert "10,500" in page
    assert "full in 5 days" in page
    assert (page.count("Measured"), page.count("Configured")) == (4, 4)
    cost = CorpCost.objects.get()
    assert (cost.fee_per_thousand, cost.link_price, cost.licence_price) == (9_850, 150, None)


def test_nonsense_is_refused(headquarters: Client) -> None:
    Corp.objects.create(corpid="ww1", is_default=True, created_at=clock.now())
    for wrong in ({"free_people": "-1"}, {"fee_per_thousand": "x"}, {"bought_until": "soon"}):
        assert headquarters.post("/settings/wecom/cost/", {**SAID, **wrong}).status_code == 422
    assert not CorpCost.objects.exists()
