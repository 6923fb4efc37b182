"""An audience against all others, and audiences against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from math import exp, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hetang.audiences import catalogues, queries
from hetang.audiences.contrasts import contrast, quantile
from hetang.audiences.portrait import Portrait, Spent, portrait
from hetang.audiences.standings import Sums, Values, sums_of
from hetang.campaigns import codes
from hetang.campaigns.models import Campaign
from hetang.commerce import history
from hetang.console.audiences.portraits import spending
from hetang.customers.models import AttributeDefinition, Tag, TagGroup
from hetang.experiments.estimators import mean_difference
from hetang.experiments.samples import Sample
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import brand, clock, roles
from hetang.platform.models import Brand, Grant, OrgNode, User
from hetang.resources.models import Product, Staff, Store
from tests.audiences.three_people import EVERYTHING, HEADQUARTERS, NOW, save

BUYERS, OTHERS = 39, 50
BOUGHT = {"version": 1, "rule": {"type": "metric", "metric": "orders", "op": ">=", "value": 1}}


def test_the_ratio_and_its_interval_are_those_of_the_formula() -> None:
    found = contrast(30, 100, 10, 200, 1.96)
    width = 1.96 * sqrt(1 / 30 - 1 / 100 + 1 / 10 - 1 / 200)
    assert (found.ratio, found.low, found.high) == pytest.approx((6.0, 6 * exp(-width), 6 * exp(width)))
    assert found.clear
    assert quantile(1) == pytest.approx(1.95996, abs=1e-5)
    assert quantile(100) == pytest.approx(NormalDist().inv_cdf(1 - 0.00025))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # pages of other processes may slow it down
@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_every_share_has_an_interval_around_its_ratio(a: int, without_a: int, c: int, without_c: int) -> None:
    inside, outside = a + without_a, c + without_c
    found, turned = contrast(a, inside, c, outside, 3.0), contrast(c, outside, a, inside, 3.0)
    assert 0 < found.low <= found.ratio <= found.high
    assert found.low == pytest.approx(1 / turned.high)
    assert found.clear == turned.clear


@given(st.dictionaries(st.integers(0, 40), st.integers(0, 10**6)), st.sets(st.integers(0, 50)))
def test_spend_is_summed_once_for_everybody(spent: dict[int, int], members: set[int]) -> None:
    groups = [BitMap(members), BitMap(range(30)) - BitMap(members)]
    values = Values(np.array(list(spent), "u4"), [np.array(list(spent.values()), "f8")])
    for found, group in zip(sums_of(values, groups), groups, strict=True):
        of = [value for one, value in spent.items() if one in group]
        assert found == Sums(sum(of), sum(value * value for value in of), sum(value > 0 for value in of))


def test_means_are_compared_by_intervals_that_hold_together() -> None:
    inside, outside = Sums(40 * 3000, 40 * 3000**2, 40), Sums(50 * 1000, 50 * 1000**2, 50)
    two = [Spent(90, inside, outside), Spent(365, inside, Sums(1000, 1000**2, 29))]
    first, other = spending(Portrait(60, 100, 8, {}, two))
    mean, others = Sample(60, 40 * 3000, 40 * 3000**2, 40), Sample(100, 50 * 1000, 50 * 1000**2, 50)
    assert (first.inside, first.outside) == (2000, 500)
    assert first.difference == mean_difference(mean, others, 1 - 0.05 / 10)
    assert other.difference is None


@pytest.fixture
def shop(transactional_db: None, clickhouse: str) -> Iterator[None]:
    """Some people with the tag, who bought milk at store A, and others without, who bought nothing and are
    friends of the staff; store B is shared alike."""
    history.ensure_schema()
    Brand.objects.create(name="Tea", currency="CNY")
    brand.forget()
    catalogues.forget()
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="x")
    OrgNode.objects.filter(id=root.id).update(path=f"{root.id}.")
    for code in ("A", "B"):
        node = OrgNode.objects.create(kind="store", code=code, name=code, path=f"draft{code}", parent=root)
        OrgNode.objects.filter(id=node.id).update(path=f"{root.id}.{node.id}.")
        Store.objects.create(code=code, name=f"Store {code}", org_node=node)
    Tag.objects.create(code="gold", name="Gold", group=TagGroup.objects.create(name="Value"))
    Staff.objects.create(userid="u", name="U", org_node=root)
    for code, sensitive in (("drink", False), ("illness", True)):
        AttributeDefinition.objects.create(
            code=code, type="choice", label_zh=code, label_en=code, choices=["tea", "milk"], sensitive=sensitive
        )
    Product.objects.create(sku="m", name="Milk", category="milk")
    drafts = []
    for n in range(BUYERS + OTHERS):
        who = [("member", f"m{n}")]
        store = "B" if n % 2 else "A"
        drink = "tea" if n < BUYERS else "milk"
        said = {"attributes": {"drink": drink, "illness": drink}, "home_store": store}
        drafts.append(Draft("customer.described", f"d{n}", NOW - timedelta(days=9), who, said))
        if n >= BUYERS:
            friend = {"staff": "u", "state": "active", "add_way": 16, "channel_state": "poster"}
            external = [*who, ("external_userid", f"wm{n}")]
            drafts.append(Draft("relation.changed", f"r{n}", NOW - timedelta(days=3), external, friend))
        if n < BUYERS:
            drafts.append(Draft("tag.changed", f"t{n}", NOW, who, {"tag": "gold", "on": True}))
            lines = [{"sku": "m", "category": "milk", "quantity": "1", "amount": 1000}]
            body = {"store": "A", "channel": "store", "lines": lines, "net": 1000}
            drafts.append(Draft("order.placed", f"o{n}", NOW - timedelta(days=3), who, body))
    assert record("till", drafts).rejected == []
    run_until_idle()
    yield


def name_poster() -> Campaign:
    """The campaign whose code the others came by; another one has a code, too."""
    today = clock.today()
    of = {"org_node": OrgNode.objects.get(code="brand"), "created_at": NOW, "starts_on": today, "ends_on": today}
    spring, other = (Campaign.objects.create(name=name, **of) for name in ("Spring", "Other"))
    codes.describe(HEADQUARTERS, "poster", "", spring)
    codes.describe(HEADQUARTERS, "door", "", other)
    return spring


@pytest.fixture
def browser(shop: None) -> Client:
    user = User.objects.create(username="op", created_at=NOW, language="en")
    Grant.objects.create(user=user, role=roles.HEADQUARTERS, org_node=OrgNode.objects.get(code="brand"))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.mark.engine
def test_what_is_clear_is_told_and_what_is_alike_is_not(shop: None) -> None:
    spring = name_poster()
    found = portrait(save(), EVERYTHING, [str(spring.public_id)])
    assert (found.people, found.others) == (BUYERS, OTHERS)
    told = {kind: [line.trait.rule for line in lines] for kind, lines in found.lines.items()}
    assert "stores" not in told
    assert told["tags"] == [{"type": "tag", "op": "any", "tags": ["gold"]}]
    assert [rule["category"] for rule in told["categories"]] == ["milk"]
    orders = [line for line in found.lines["buying"] if line.trait.rule["metric"] == "orders"]
    assert {
        (line.trait.rule["value"], line.contrast.inside, line.contrast.outside, line.contrast.ratio > 1)
        for line in orders
    } == {(1, BUYERS, 0, True), (0, 0, OTHERS, False)}
    at_b = {"type": "store", "op": "home", "stores": ["B"]}
    told_of = {(line.trait.rule["value"], line.contrast.inside) for line in found.lines["attributes"]}
    assert told_of == {("tea", BUYERS), ("milk", 0)}
    assert all(line.trait.rule["code"] == "drink" for line in found.lines["attributes"])  # the other one is sensitive
    came = {
        (
            *(line.trait.rule["type"], line.trait.rule.get("by")),
            *line.trait.rule.get("ways", line.trait.rule.get("campaigns", ())),
        ): line.contrast
        for line in found.lines["first_source"]
    }
    first = ("first_source", "friendship")
    by_spring = ("first_source", "any", str(spring.public_id))
    assert set(came) == {("relation", None), first, (*first, "acquisition_link"), ("first_source", "order"), by_spring}
    assert (came[by_spring].inside, came[by_spring].outside) == (0, OTHERS)
    assert (came[*first, "acquisition_link"].outside, came["first_source", "order"].inside) == (OTHERS, BUYERS)
    sums = Sums(BUYERS * 1000, BUYERS * 1000**2, BUYERS)
    assert found.spent == [Spent(90, sums, Sums(0, 0, 0)), Spent(365, sums, Sums(0, 0, 0))]
    assert all(one.few for one in found.spent)  # the others' sums would be those of nobody
    half = {"version": 1, "rule": {"all": [BOUGHT["rule"], at_b]}}
    few = portrait(save("Few", half), EVERYTHING)
    assert (few.people, few.few, few.lines) == (BUYERS // 2, True, {})
    everybody = portrait(save("Everybody", {"version": 1, "rule": {"all": []}}), EVERYTHING)
    assert (everybody.people, everybody.others, everybody.lines) == (BUYERS + OTHERS, 0, {})


@pytest.mark.engine
def test_the_pages_compare_and_build_what_is_left(browser: Client) -> None:
    name_poster()
    golden, bought, all_ = save(), save("Bought", BOUGHT), save("All", {"version": 1, "rule": {"all": []}})
    assert queries.overlap([golden, all_], EVERYTHING) == queries.Overlap(
        [[BUYERS, BUYERS], [BUYERS, BUYERS + OTHERS]], BUYERS + OTHERS
    )
    opened = browser.get(f"/audiences/{golden.public_id}/portrait").content.decode()
    [part] = re.findall(r'hx-get="([^"]*/comparison)" hx-trigger="load, again"', opened)
    page = browser.get(part).content.decode()
    assert "100.0%" in page
    assert "first came (codes of campaign “Spring”)" in page
    assert "only they" in page
    assert "none of them" in page
    assert "Home store" not in page
    assert page.count("Not compared: fewer than 30 people of one side bought.") == 2
    chosen = [str(one.public_id) for one in (golden, bought, all_)]
    page = browser.get("/audiences/overlap", {"a": chosen}).content.decode()
    link = f"/audiences/new?in={all_.public_id}&amp;out={golden.public_id}"
    assert link in page
    assert f"in={golden.public_id}&amp;out={all_.public_id}" not in page  # nobody would be left
    built = browser.get(link.replace("&amp;", "&")).content.decode()
    assert "<b>50</b>" in built
    assert "At most 10" not in page
    assert "Choose at least one more" in browser.get("/audiences/overlap", {"a": chosen[:1]}).content.decode()
