"""The builder and the pages of saved audiences, through the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pyroaring import BitMap

from hetang.audiences import catalogues, queries, services
from hetang.audiences.matching import explain
from hetang.audiences.models import Audience
from hetang.audiences.moments import Moment
from hetang.audiences.reading import parse
from hetang.campaigns import services as campaigns
from hetang.campaigns.models import Broadcast, Campaign
from hetang.commerce import history as commerce_history
from hetang.communities.models import GroupChat, GroupMember
from hetang.console.audiences import adding
from hetang.console.audiences.verdicts import shown_value
from hetang.customers import life_stages
from hetang.customers.life_stages import TEMPLATES, Definition, course_from
from hetang.customers.models import AttributeDefinition, Identity, Tag, TagGroup
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import access, brand, clock, engine_client, roles
from hetang.platform.access import Scope
from hetang.platform.models import Brand, Grant, OrgNode, User
from hetang.resources.models import CategoryLabel, District, Product, Store
from hetang.touch.models import Programme, ShortLink

NOW = datetime.now(UTC).replace(microsecond=0)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def shop(clickhouse: str) -> Iterator[None]:
    commerce_history.ensure_schema()
    Brand.objects.create(name="Tea", currency="CNY")
    brand.forget()
    catalogues.forget()
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="x")
    OrgNode.objects.filter(id=root.id).update(path=f"{root.id}.")
    for n in (1, 2):
        node = OrgNode.objects.create(kind="store", code=f"s{n}", name=f"Store {n}", path=f"draft{n}", parent=root)
        OrgNode.objects.filter(id=node.id).update(path=f"{root.id}.{node.id}.")
        Store.objects.create(code=f"s{n}", name=f"Store {n}", org_node=node)
    Tag.objects.create(code="gold", name="Gold", group=TagGroup.objects.create(name="Value"))
    life_stages.create(Definition("Growing", "", "child", course_from(TEMPLATES["child"])))
    Product.objects.create(sku="p1", name="Green tea", category="tea")
    facts = []
    for n, (member, store, orders) in enumerate([("ann", "s1", 3), ("bea", "s1", 1), ("cat", "s2", 2)]):
        who = [("member", member)]
        described = {"attributes": {}, "home_store": store}
        facts.append(Draft("customer.described", f"d{n}", NOW - timedelta(days=90), who, described, name=f"{member} X"))
        for k in range(orders):
            lines = [{"sku": "p1", "category": "tea", "quantity": "1", "amount": 1250}]
            body = {"store": store, "channel": "store", "lines": lines, "net": 1250}
            facts.append(Draft("order.placed", f"o{n}-{k}", NOW - timedelta(days=1 + 10 * k), who, body))
    assert record("till", facts).rejected == []
    run_until_idle()
    engine_client.call("sets", "holds", {"numbers": []})  # so that pages are answered from the sets of now
    yield


def client_of(role: str, node: str) -> Client:
    user = User.objects.create(username=role, created_at=NOW, language="en")
    Grant.objects.create(user=user, role=role, org_node=OrgNode.objects.get(code=node))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def client() -> Client:
    return client_of(roles.HEADQUARTERS, "brand")


def hidden(html: str, name: str) -> Any:
    found = re.search(rf'<input type="hidden" name="{name}" id="{name}" value="([^"]*)"', html)
    assert found is not None
    return json.loads(found[1].replace("&quot;", '"').replace("&#x27;", "'"))


def counted(html: str) -> str:
    found = re.search(r'<p class="builder-count"><b>([^<]*)</b>', html)
    assert found is not None, html
    return found[1]


def post(client: Client, state: dict[str, Any], **fields: Any) -> str:
    answer = client.post(
        "/audiences/build", {"tree": json.dumps(state["tree"]), "past": json.dumps(state["past"]), **fields}
    )
    assert answer.status_code == 200, answer.content.decode()[-2000:]
    html = answer.content.decode()
    state |= {"tree": hidden(html, "tree"), "past": hidden(html, "past")}
    return html


def test_a_rule_is_built_step_by_step(client: Client) -> None:
    html = client.get("/audiences/new").content.decode()
    assert counted(html) == "3"
    state = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::bought")
    assert state["tree"] == {
        "all": [{"type": "behaviour", "event": "bought", "op": "at_least", "value": 1, "days": 30}]
    }
    assert counted(html) == "3"
    place = "f-all-0"
    said = {"event": "bought", "op": "at_least", "value": "2", "count": "orders", "days": "30", "category": "tea"}
    fields = {f"{place}-{name}": value for name, value in {**said, "sku": "", "stores.sent": "1"}.items()}
    html = post(client, state, **fields)
    assert (counted(html), len(state["past"])) == ("2", 2)
    assert "bought category “tea” at least 2 times in the last 30 days" in html
    html = post(client, state, **fields, do="add::none")
    html = post(client, state, **fields, do="add:all-1:store")
    assert counted(html) == "2"  # a store is not chosen yet, so the exclusion does not count
    assert "not filled in yet" in html
    where = {"f-all-1-not-any-0-op": "home", "f-all-1-not-any-0-stores": "s2", "f-all-1-not-any-0-stores.sent": "1"}
    html = post(client, state, **fields, **where)
    assert counted(html) == "1"
    html = post(client, state, **fields, **where, do="undo")
    assert counted(html) == "2"
    html = post(client, state, do="remove:all-1")
    assert len(state["tree"]["all"]) == 1
    html = post(client, state, do="group::any")
    assert list(state["tree"]) == ["any"]


def test_one_thing_after_another_is_built(client: Client) -> None:
    state = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::then")
    assert counted(html) == "0"  # nobody visited
    place = "f-all-0"
    fields = {f"{place}-first-event": "bought", f"{place}-first-when": "dates", f"{place}-first-sku": "p1",
              f"{place}-happened": "yes", f"{place}-then-event": "bought", f"{place}-within": "11"}  # fmt: skip
    html = post(client, state, **fields, do="draw")
    first = state["tree"]["all"][0]["first"]
    assert (first["event"], first["sku"], sorted(first)) == ("bought", "p1", ["event", "from", "sku", "to"])
    assert counted(html) == "2"  # ann and cat bought again ten days later
    node = OrgNode.objects.get(code="brand")
    rule = {"version": 1, "rule": state["tree"]}
    audience = services.save(access.system("t"), name="Again", rule=rule, org_node=node)
    why = client.get(f"/audiences/{audience.public_id}/why", {"q": "ann"}).content.decode()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d → \d{4}", why)
    fields = {f"{place}-first-when": "ever", f"{place}-first-event": "bought", f"{place}-happened": "no"}
    post(client, state, **fields, do="draw")
    assert sorted(state["tree"]["all"][0]["first"]) == ["event", "sku"]


def test_where_somebody_stands_is_built_and_explained(client: Client) -> None:
    state = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::percentile")
    assert counted(html) == "1"  # ann, who spent most; one in three is more than ten per cent
    html = post(client, state, do="add::rfm")
    place = "f-all-1"
    html = post(client, state, **{f"{place}-cell": "scores", f"{place}-days": "30"}, do="draw")
    assert state["tree"]["all"][1] == {
        "type": "rfm",
        "recency": [1, 5],
        "frequency": [1, 5],
        "money": [1, 5],
        "days": 30,
    }
    scores = {f"{place}-frequency.0": "4", f"{place}-frequency.1": "5", f"{place}-cell": "scores"}
    html = post(client, state, **scores, do="draw")
    assert counted(html) == "1"
    node, rule = OrgNode.objects.get(code="brand"), {"version": 1, "rule": state["tree"]}
    audience = services.save(access.system("t"), name="Best", rule=rule, org_node=node)
    why = client.get(f"/audiences/{audience.public_id}/why", {"q": "cat"}).content.decode()
    assert "¥25.00; the border is ¥37.50, among 3 customers" in why
    assert "R 1 (mean 1.0) · F 2 (mean 2.3) · M 2 (mean 2.3): General, gone; last order" in why
    ann = Identity.objects.get(key="ann").customer_id
    assert [one.name for one in queries.audiences_of(ann, Scope((), everything=True))] == ["Best"]


def test_why_tells_no_sensitive_value(client: Client) -> None:
    for code, sensitive in (("illness", True), ("colour", False)):
        AttributeDefinition.objects.create(
            code=code, type="text", label_zh=code, label_en=code.title(), sensitive=sensitive
        )
    said = {"attributes": {code: f"{code} of ann" for code in ("illness", "colour")}}
    record("crm", [Draft("customer.described", "ann", NOW, [("member", "ann")], said)])
    run_until_idle()
    known = [{"type": "attribute", "code": code, "op": "not_empty"} for code in ("illness", "colour")]
    node, rule = OrgNode.objects.get(code="brand"), {"version": 1, "rule": {"all": known}}
    audience = services.save(access.system("t"), name="Known", rule=rule, org_node=node)
    why = client.get(f"/audiences/{audience.public_id}/why", {"q": "ann"}).content.decode()
    assert "colour of ann" in why and "illness of ann" not in why and "***" in why


def test_what_is_wrong_is_said_at_its_place(client: Client) -> None:
    leaf = {"type": "metric", "metric": "orders", "op": ">=", "value": 1}
    state = {"tree": {"all": [leaf]}, "past": []}
    html = post(client, state, **{"f-all-0-metric": "orders", "f-all-0-op": ">=", "f-all-0-value": "many"})
    assert re.search(r'id="figures-all-0".*?Enter a number from 0 to', html, re.DOTALL)
    assert counted(html) == "3"


@pytest.mark.parametrize(
    "code",
    [
        *("lapsed", "category", "new-friends", "visited", "birthday", "reachable", "late", "near"),
        *("top-spenders", "at-risk"),
    ],
)
def test_templates_can_be_counted(client: Client, code: str) -> None:
    assert 'template=birthday"' not in client.get("/audiences/new").content.decode()
    AttributeDefinition.objects.create(
        code="birthday", type="date", label_zh="生日", label_en="Birthday", birth_date=True
    )
    AttributeDefinition.objects.create(code="place", type="place", label_zh="位置", label_en="Position")
    Store.objects.update(latitude="31.23", longitude="121.47", datum="gcj02")
    catalogues.forget()
    html = client.get(f"/audiences/new?template={code}").content.decode()
    assert int(counted(html)) >= 0
    assert 'class="errors' not in html


def test_every_condition_can_be_added(client: Client) -> None:
    from hetang.console.audiences.fields import new_conditions

    state = {"tree": {"all": []}, "past": []}
    for code, _label, _leaf in new_conditions(catalogues.catalogue()):
        html = post(client, state, do=f"add::{code}")
        assert 'class="errors' not in html, code
    assert len(state["tree"]["all"]) == len(new_conditions(catalogues.catalogue()))


def test_conditions_are_found_by_typing_in_both_languages_and_added(client: Client) -> None:
    def found(q: str) -> list[str]:
        return [code for code, _label in client.get("/audiences/values/conditions", {"q": q}).json()["values"]]

    assert found("gold") == ["tag:gold"]
    assert found("购买")[0] == "bought"
    assert (
        found("average order") == found("客单价") == [f"{one}:average_order_value" for one in ("metric", "percentile")]
    )
    assert "fact:order.refunded" in found("refund")
    assert "category:tea" in found("tea")
    assert found("重要保持") == found("at risk") == ["rfm:important_keep"]
    assert found("top spend")[0] == found("排名前 消费金额")[0] == "percentile:spent"
    assert found("nothing of the kind") == []
    assert found("") != []
    known = catalogues.catalogue()
    for one in list(adding.offers(known)):
        leaf = adding.new_condition(one.code, known)
        if one.code not in {"tag", "audience", "audience_moved", "audience_at", "store"}:  # which is still to be chosen
            assert parse({"version": 1, "rule": leaf}, known)
    state: dict[str, Any] = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::?", what="tag:gold")
    assert state["tree"] == {"all": [{"type": "tag", "op": "any", "tags": ["gold"]}]}
    assert "has the tag “Value·Gold”" in html
    assert client.post("/audiences/build", {"tree": "", "do": "add::?", "what": "tag:none"}).status_code == 400


def test_people_of_a_group_chat_are_counted_and_the_group_is_found_by_its_store(client: Client) -> None:
    ann = Identity.objects.get(kind="member", key="ann").customer
    Identity.objects.create(kind="external_userid", key="wm1", customer=ann, evidence_number=1, first_seen_at=NOW)
    store = Store.objects.get(code="s1")
    node = store.org_node
    group = GroupChat.objects.create(chat_id="g", name="Bread", org_node=node, store=store, told_at=NOW, size=7)
    GroupMember.objects.create(group=group, member="wm1", joined_at=NOW, joined_on=clock.local_day(NOW))
    rule = {"type": "group_chat", "number": 1, "groups": [str(group.public_id)], "days": 7}
    html = post(client, {"tree": {"all": [rule]}, "past": []}, do="draw")
    assert counted(html) == "1"
    assert "joined the group chat “Bread” within the last 7 days" in html
    found = client.get("/audiences/values/groups", {"q": "store bre"}).json()["values"]
    assert found == [[str(group.public_id), "Bread · Store 1 · 7 people"]]
    elsewhere = client_of(roles.STORE_MANAGER, "s2")
    assert elsewhere.get("/audiences/values/groups").json()["values"] == []


def test_first_sources_and_messages_are_found_by_typing_and_by_name(client: Client) -> None:
    def found(source: str, words: str) -> list[list[str]]:
        values: list[list[str]] = client.get(f"/audiences/values/{source}", {"q": words}).json()["values"]
        return values

    assert ["first_source:friendship", "Where she first came from: as a WeCom friend"] in found("conditions", "活码")
    assert ["received:campaign", "Received messages: of a campaign"] in found("conditions", "campaign")
    assert (found("order_channels", "sto"), found("order_sources", "")) == ([["store", "store"]], [["till", "till"]])
    state: dict[str, Any] = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::?", what="first_source:order")
    assert (counted(html), state["tree"]["all"][0]["by"]) == ("3", "order")
    state["tree"]["all"][0] |= {"channels": ["store"], "stores": ["s2"]}
    html = post(client, state, do="draw")
    assert counted(html) == "1"
    assert "first came with an order (channel “store”; store “Store 2”) within the last 30 days" in html
    root, ann = OrgNode.objects.get(code="brand"), Identity.objects.get(kind="member", key="ann").customer
    of = {"org_node": root, "created_at": NOW, "starts_on": clock.today(), "ends_on": clock.today()}
    spring = Campaign.objects.create(name="Spring", **of)
    sent = Programme.objects.create(name="First", channel="sms", slot_at=NOW, expires_at=NOW)
    Broadcast.objects.create(
        campaign=spring, name="First", audience=saved(), created_at=NOW, updated_at=NOW, programme=sent
    )
    body = {"programme": sent.pk, "channel": "sms"}
    touched = Draft("touch.sent", "t", NOW - timedelta(hours=1), [], body, BitMap([ann.number]).serialize())
    assert record("touch", [touched]).rejected == []
    run_until_idle()
    assert found("campaigns", "spr") == [[str(spring.public_id), "Spring"]]
    assert [label for _id, label in found("broadcasts", "spring")] == ["First · Spring"]
    html = post(client, {"tree": {"all": []}, "past": []}, do="add::?", what="received:campaign")
    received = {"type": "behaviour", "event": "received", "op": "at_least", "value": 1, "days": 30}
    tree = {"all": [{**received, "campaigns": [str(spring.public_id)], "message_class": "marketing"}]}
    html = post(client, {"tree": tree, "past": []}, do="draw")
    assert counted(html) == "1"
    assert "received marketing messages of the campaign “Spring” in the last 30 days" in html
    assert client_of(roles.STORE_MANAGER, "s2").get("/audiences/values/campaigns").json()["values"] != []


def test_clicks_that_name_somebody_are_found_and_the_builder_says_how_many_do(client: Client) -> None:
    root = OrgNode.objects.get(code="brand")
    of = {"org_node": root, "created_at": NOW, "starts_on": clock.today(), "ends_on": clock.today()}
    spring = Campaign.objects.create(name="Spring", **of)
    sent = Programme.objects.create(name="First", channel="sms", planned_at=NOW, slot_at=NOW, expires_at=NOW)
    Broadcast.objects.create(
        campaign=spring, name="First", audience=saved(), created_at=NOW, updated_at=NOW, programme=sent
    )
    for code, programme in (("aa", sent.pk), ("zz", None)):
        ShortLink.objects.create(
            code=code, target="https://shop.example/", programme_id=programme, created_at=NOW, clicks=9
        )
    state: dict[str, Any] = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::?", what="clicked:campaign")
    assert (counted(html), "9 clicks, none of which names a person" in html) == ("0", True)
    state["tree"]["all"][0] |= {"campaigns": [str(spring.public_id)], "message_class": "marketing", "days": 2}
    document = {"version": 1, "rule": state["tree"]}
    named = {"name": "Clickers", "tree": json.dumps(state["tree"]), "past": "[]"}
    assert "none of which names a person" in client.post("/audiences/save", named, follow=True).content.decode()

    def click(key: str, member: str, link: str, hours: int) -> Draft:
        at = NOW - timedelta(hours=hours)
        return Draft("click.identified", key, at, [("member", member)], {"link": link, "direct": key == "k1"})

    facts = [click("k1", "ann", "aa", 1), click("k2", "bea", "aa", 24 * 9), click("k3", "cat", "zz", 1)]
    assert record("mini", facts).rejected == []
    run_until_idle()
    engine_client.call("sets", "holds", {"numbers": []})  # so that the next answer is not of a moment ago
    html = post(client, state, do="draw")
    assert (counted(html), "10 clicks, 2 of them name a person" in html) == ("1", True)
    people = {one: Identity.objects.get(kind="member", key=one).customer_id for one in ("ann", "bea", "cat")}
    for change, expected in (
        ({}, "ann"),
        ({"days": 30}, "ann bea"),
        ({"days": 30, "value": 2}, ""),
        ({"campaigns": [], "message_class": ""}, "ann cat"),
        ({"days": None, "before_days": 3}, "bea"),
        ({"op": "at_most", "value": 0}, "bea cat"),
        ({"message_class": "service"}, ""),
    ):
        document["rule"] = {**state["tree"]["all"][0], **change}
        inside = {people[member] for member in expected.split()}
        assert set(queries.evaluate(document, Scope((), everything=True))) == inside, change
        assert {one for one in people.values() if queries.explain(document, one).holds} == inside, change
    renamed = {**named, "name": "Others"}
    assert "names a person" not in client.post("/audiences/save", renamed, follow=True).content.decode()


def test_people_of_a_district_are_counted_by_its_centre(client: Client) -> None:
    assert "district" not in {one[0] for one in client.get("/audiences/values/conditions").json()["values"]}
    place = AttributeDefinition.objects.create(code="place", type="place", label_zh="位置", label_en="Position")
    for code, name, east in (("310106", "静安区", "121.45"), ("310115", "浦东新区", "121.54")):
        District.objects.create(code=code, name=name, parent="上海市", latitude="31.23", longitude=east, datum="wgs84")
    at = {"latitude": 31.231, "longitude": 121.46, "datum": "wgs84"}
    said = Draft("customer.described", "p", NOW - timedelta(days=1), [("member", "ann")], {"places": {place.code: at}})
    assert record("crm", [said]).rejected == []
    run_until_idle()
    catalogues.forget()
    state: dict[str, Any] = {"tree": {"all": []}, "past": []}
    post(client, state, do="add::?", what="district")
    assert client.get("/audiences/values/districts", {"q": "静安"}).json()["values"] == [["310106", "静安区 · 上海市"]]
    state["tree"]["all"][0]["districts"] = ["310106"]
    html = post(client, state, do="draw")
    assert counted(html) == "1"
    assert "position is about in “静安区 · 上海市” (by the nearest centre of a district, up to 50 km)" in html
    node = parse({"version": 1, "rule": state["tree"]}, catalogues.catalogue(fresh=True))
    person = queries.person(Identity.objects.get(kind="member", key="ann").customer_id)
    verdict = explain(node, person, catalogues.catalogue(), Moment(clock.today(), clock.zone().key)).children[0]
    assert shown_value(verdict.node, verdict.found, catalogues.catalogue(), set()).startswith("about 静安区 · 上海市")


def test_hostile_state_is_an_empty_rule(client: Client) -> None:
    for tree in ("[" * 10_000, "{}", '{"all": 3}', '{"all": [{"not": {"any": "x"}}]}', "null", '{"all": [[]]}'):
        answer = client.post("/audiences/build", {"tree": tree, "past": "3"})
        assert (answer.status_code, counted(answer.content.decode())) == (200, "3")
    assert client.post("/audiences/build", {"tree": "", "do": "add:all-9:tag"}).status_code == 400
    assert client.post("/audiences/build", {"tree": "", "do": "dance"}).status_code == 400
    endless = client.post("/audiences/save", {"tree": "{}", "name": "荷" * 10_000, "refresh": "live"})
    assert "Give the audience a name of at most 80 characters." in endless.content.decode()
    assert not Audience.objects.exists()


def saved(**more: Any) -> Audience:
    rule = {"all": [{"type": "metric", "metric": "orders", "op": ">=", "value": 2}]}
    node = OrgNode.objects.get(code="brand")
    return services.save(access.system("t"), name="Twice", rule={"version": 1, "rule": rule}, org_node=node, **more)


def test_save_edit_refresh_explain_archive(client: Client) -> None:
    tree = {"all": [{"type": "metric", "metric": "orders", "op": ">=", "value": 2}]}
    answer = client.post("/audiences/save", {"tree": json.dumps(tree), "name": "Twice", "refresh": "live"})
    audience = Audience.objects.get()
    assert (answer.status_code, audience.live, audience.rule) == (302, True, {"version": 1, "rule": tree})
    page = f"/audiences/{audience.public_id}/"
    assert "orders is at least 2" in client.get(page).content.decode()
    assert client.post(page + "refresh").status_code == 302
    assert Audience.objects.get().count == 2
    history = client.get(page + "history").content.decode()
    assert history.count('class="n">2</td>') == 2  # two people, two of them entered
    why = client.get(page + "why", {"q": "bea"}).content.decode()
    assert "does not fit the rule now" in why
    assert "b*** X***" in why
    assert "No customer that you may see" in client.get(page + "why", {"q": "zoe"}).content.decode()
    assert client.get(page + "edit").status_code == 200
    assert "Twice" in client.get("/audiences/").content.decode()
    assert client.post(page + "archive").status_code == 302
    assert client.get(page).status_code == 404


def broadcast_to(audience: Audience, name: str) -> Broadcast:
    today = clock.today()
    node = OrgNode.objects.get(code="brand")
    fields = campaigns.CampaignFields("Autumn", today, today, node.pk)
    campaign = campaigns.save_campaign(access.system("t"), fields)
    texts = [{"text": "Hello", "attachments": [], "weight": 1}]
    composition = campaigns.Composition(name, audience.pk, texts, "https://example.com/")
    return campaigns.save_broadcast(access.system("t"), campaign, composition)


def test_archiving_looks_at_what_uses_the_audience(client: Client) -> None:
    audience = saved()
    page = f"/audiences/{audience.public_id}/"
    draft = broadcast_to(audience, "Bread week")
    html = client.get(page).content.decode()
    assert "Broadcast of “Autumn”" in html
    assert "1 broadcast that is not sent yet is written to it:" in html
    answer = client.post(page + "archive", follow=True)  # as a page that was drawn before the draft was made
    assert "Broadcasts that are not sent yet are written to it: Bread week." in answer.content.decode()
    assert client.post(page + "archive", {"unsent": "yes"}, follow=True).redirect_chain == [("/audiences/", 302)]
    assert [one.code for one in campaigns.check(draft)] == ["audience_gone"]
    html = client.get("/audiences/?show=archived").content.decode()
    assert "Twice" in html
    assert client.post(page + "restore").status_code == 302
    member = {"all": [{"type": "audience", "audience": str(audience.public_id)}]}
    client.post("/audiences/save", {"tree": json.dumps(member), "name": "Outer"})
    html = client.get(page).content.decode()
    assert "It cannot be archived yet" in html
    assert "Audience that includes it" in html
    answer = client.post(page + "archive", {"unsent": "yes"}, follow=True)
    assert "It is used by other audiences: Outer." in answer.content.decode()
    assert Audience.objects.filter(archived_at=None).count() == 2


def test_a_draft_can_be_discarded(client: Client) -> None:
    draft = broadcast_to(saved(), "Bread week")
    page = f"/campaigns/broadcasts/{draft.public_id}"
    assert "Discard this draft" in client.get(page + "/edit").content.decode()
    assert client.post(page + "/discard").status_code == 302
    assert not Broadcast.objects.exists()
    assert client.post(page + "/discard").status_code == 404


def test_products_are_searched_on_the_server(client: Client) -> None:
    Product.objects.bulk_create(Product(sku=f"x{n}", name=f"Thing {n:03}", category="tea") for n in range(60))
    CategoryLabel.objects.create(category="tea", zh_hans="茶", en="Tea")
    catalogues.forget()

    def found(source: str, text: str) -> tuple[list[str], bool]:
        answer = client.get(f"/audiences/values/{source}", {"q": text}).json()
        return [value for value, _label in answer["values"]], answer["more"]

    assert found("products", "green") == (["p1"], False)
    assert found("products", "x7") == (["x7"], False)
    assert found("products", "茶 green") == (["p1"], False)
    assert found("products", "thing 04")[0] == ["x4", *(f"x{n}" for n in range(40, 50))]
    everything, more = found("products", "")
    assert (len(everything), everything[0], more) == (50, "p1", True)
    assert found("products", "100%") == ([], False)
    assert found("categories", "Te") == (["tea"], False)
    assert client.get("/audiences/values/secrets").status_code == 404
    state = {"tree": {"all": []}, "past": []}
    html = post(client, state, do="add::bought")
    assert 'url="/audiences/values/products"' in html
    assert 'source="source-categories"' in html
    html = post(client, state, **{"f-all-0-event": "bought", "f-all-0-op": "at_least", "f-all-0-value": "1",
                                  "f-all-0-days": "30", "f-all-0-sku": "p1"})  # fmt: skip
    assert "product “Green tea”" in html
    html = post(client, state, **{"f-all-0-sku": ""}, do="draw")
    html = post(client, state, do="undo")
    assert '<option value="p1" selected>Green tea · p1</option>' in html


def test_an_unfinished_rule_is_not_saved(client: Client) -> None:
    tree = {"all": [{"type": "tag", "op": "any", "tags": []}]}
    answer = client.post("/audiences/save", {"tree": json.dumps(tree), "name": "Twice"})
    assert (answer.status_code, Audience.objects.count()) == (422, 0)
    assert "The rule is not finished" in answer.content.decode()
    assert client.post("/audiences/save", {"tree": '{"all": []}', "name": " "}).status_code == 422


def test_a_store_manager_sees_her_own_people_and_changes_nothing() -> None:
    audience = saved()
    client = client_of(roles.STORE_MANAGER, "s2")
    html = client.get("/audiences/new").content.decode()
    assert counted(html) == "1"
    page = client.get(f"/audiences/{audience.public_id}/").content.decode()
    assert "c*** X***" in page
    assert "a*** X***" not in page
    assert client.get(f"/audiences/{audience.public_id}/edit").status_code == 403
    assert client.post("/audiences/save", {"tree": "", "name": "x"}).status_code == 403
    assert (
        "No customer that you may see"
        in client.get(f"/audiences/{audience.public_id}/why", {"q": "ann"}).content.decode()
    )


def test_who_was_in_at_an_earlier_time(client: Client) -> None:
    """ann and cat bought twice; bea came two days ago. Headquarters sees all, the store's manager her own."""
    audience = saved()
    clock.freeze(NOW - timedelta(days=4))
    services.take_snapshot(audience.id)
    lines = [{"sku": "p1", "category": "tea", "quantity": "1", "amount": 5}]
    bought = {"store": "s1", "channel": "store", "net": 5, "lines": lines}
    record("till", [Draft("order.placed", "late", NOW - timedelta(days=3), [("member", "bea")], bought)])
    run_until_idle()
    clock.freeze(NOW - timedelta(days=2))
    services.take_snapshot(audience.id)
    clock.freeze(None)
    page = f"/audiences/{audience.public_id}/past"
    then = f"{(NOW - timedelta(days=3)).astimezone(clock.zone()):%Y-%m-%d %H:%M}"
    html = client.get(page, {"at": then}).content.decode()
    assert ("a*** X***" in html, "b*** X***" in html, "c*** X***" in html) == (True, False, True)
    assert f"/exports/new/audience?audience={audience.public_id}&amp;snapshot=1" in html
    assert "b*** X***" in client.get(page, {"snapshot": "2"}).content.decode()
    early = f"{NOW - timedelta(days=9):%Y-%m-%d}"
    assert "The oldest snapshot that is kept is of" in client.get(page, {"at": early}).content.decode()
    assert "This time cannot be read" in client.get(page, {"at": "soon"}).content.decode()
    html = client.get(page, {"q": "bea"}).content.decode()
    assert "When b*** X***" in html
    assert "still in" in html
    manager = client_of(roles.STORE_MANAGER, "s2")
    html = manager.get(page, {"snapshot": "2"}).content.decode()
    assert ("a*** X***" in html, "c*** X***" in html, "yours, of 3" in html) == (False, True, True)
    assert "No customer that you may see" in manager.get(page, {"q": "bea"}).content.decode()
    about = client.get(f"/exports/new/audience?audience={audience.public_id}&snapshot=1").content.decode()
    assert re.search(r"People in it.*?<dd>2</dd>", about, re.DOTALL), about


def test_pages_of_numbers_go_both_ways() -> None:
    from django.test import RequestFactory
    from pyroaring import BitMap

    from hetang.console.audiences.past import page_of

    members = BitMap(range(1, 121))
    first = page_of(members, RequestFactory().get("/"))
    assert (first.rows, first.earlier, first.later) == (list(range(120, 70, -1)), None, "71")
    second = page_of(members, RequestFactory().get("/?after=71"))
    assert (second.rows[0], second.rows[-1], second.earlier, second.later) == (70, 21, "70", "21")
    last = page_of(members, RequestFactory().get("/?after=21"))
    assert (last.rows, last.later) == (list(range(20, 0, -1)), None)
    assert page_of(members, RequestFactory().get("/?before=70")).rows == first.rows
    assert page_of(BitMap(), RequestFactory().get("/?after=7")).rows == []


def test_a_schedule_is_chosen_in_the_builder(client: Client) -> None:
    tree = {"tree": '{"all": []}', "name": "Mondays", "refresh": "scheduled", "refresh_day": "0"}
    answer = client.post("/audiences/save", {**tree, "refresh_at": "9"})
    assert (answer.status_code, "for example 09:00" in answer.content.decode()) == (422, True)
    assert client.post("/audiences/save", {**tree, "refresh_at": "09:30"}).status_code == 302
    audience = Audience.objects.get()
    there = audience.next_refresh_at.astimezone(clock.zone())
    assert (audience.live, there.weekday(), f"{there:%H:%M}") == (False, 0, "09:30")
    assert "refreshed every Monday at 09:30" in client.get(f"/audiences/{audience.public_id}/").content.decode()
    html = client.get(f"/audiences/{audience.public_id}/edit").content.decode()
    assert 'value="scheduled" checked' in html
    posted = {**tree, "audience": str(audience.public_id), "version": "1", "refresh": "live"}
    assert client.post("/audiences/save", posted).status_code == 302
    audience.refresh_from_db()
    assert (audience.live, audience.next_refresh_at, audience.schedule) == (True, None, None)


def test_without_the_engine_pages_say_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    audience = saved()
    monkeypatch.setenv("HETANG_SETS_URL", "http://127.0.0.1:9")
    engine_client.forget()
    assert "The audience engine is not answering" in client.get("/audiences/new").content.decode()
    assert "The audience engine is not answering" in client.get(f"/audiences/{audience.public_id}/").content.decode()
    assert client.get("/audiences/").status_code == 200
    engine_client.forget()


def test_pages_are_chinese_too(client: Client) -> None:
    client.cookies["hetang_language"] = "zh-hans"
    user = User.objects.get()
    user.language = "zh-hans"
    user.save()
    html = client.get("/audiences/new", headers={"accept-language": "zh-hans"}).content.decode()
    assert "全部客户" in html
    assert "添加条件" in html, "translations of the room"
