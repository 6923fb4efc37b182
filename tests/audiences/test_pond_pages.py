"""The pages of pond sets through the real engine: composing, flows, the people behind a cell, the export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from hetang.audiences import pond_days, ponds, services
from hetang.audiences.models import Audience, PondSet
from hetang.console.exports.figures import sheet_of_ponds
from hetang.customers.models import Customer
from hetang.platform import clock, roles
from hetang.platform.models import Brand, Grant, OrgNode, User
from tests.audiences.three_people import HEADQUARTERS, NOW, gold, number, save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.usefixtures("three_people"),
]
EVERYBODY: dict[str, Any] = {"version": 1, "rule": {"all": []}}


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    Brand.objects.create(name="Tea", currency="CNY")
    turn(0)
    yield
    clock.freeze(None)


def turn(days: int) -> None:
    clock.freeze(datetime.combine(NOW.date() + timedelta(days=days), time(12), clock.zone()))


@pytest.fixture
def client() -> Client:
    user = User.objects.create(username="hq", created_at=NOW, language="en")
    Grant.objects.create(user=user, role=roles.HEADQUARTERS, org_node=OrgNode.objects.get(code="brand"))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def text_of(answer: Any, status: int = 200) -> str:
    html = answer.content.decode()
    assert answer.status_code == status, html
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def lines(*ponds: tuple[str, Any]) -> dict[str, list[str]]:
    audiences = [str(one.public_id) if one else "" for _name, one in ponds]
    return {"pond_name": [name for name, _one in ponds], "pond_audience": audiences, "pond": [""] * len(ponds)}


def test_composing_counts_what_earlier_ponds_have_and_lines_change_places(client: Client) -> None:
    assert "Or compose a rule here" in text_of(client.get("/ponds/new")), "no audience has to be there first"
    gold("ann", True, 1)
    golden, everybody = save(), save("All", EVERYBODY)
    two = lines(("Gold", golden), ("Others", everybody), ("", None))
    told = text_of(client.post("/ponds/draw", two))
    assert "1 person is here" in told
    assert "2 people are here · 3 fit the audience · earlier ponds have: Gold 1" in told
    assert "Everybody else 0 0.0%" in told
    turned = client.post("/ponds/draw", {**two, "do": "up:1"}).content.decode()
    assert re.findall(r'name="pond_name" maxlength="80" value="([^"]*)"', turned) == ["Others", "Gold", ""]
    assert "0 people are here · 1 fit the audience · earlier ponds have: Others 1" in re.sub(r"<[^>]+>", "", turned)
    gone = client.post("/ponds/draw", {**two, "do": "remove:0"}).content.decode()
    assert re.findall(r'name="pond_name" maxlength="80" value="([^"]*)"', gone) == ["Others", ""]
    for wrong in ("up:9", "sideways:1", "remove:x"):
        assert client.post("/ponds/draw", {**two, "do": wrong}).status_code == 400
    bad = {**lines(("Gold", golden), ("Gold", golden)), "name": "Value"}
    told = text_of(client.post("/ponds/save", bad), 422)
    assert "Another pond of this set has this name. An earlier pond has this audience already" in told
    assert "Give the pond set a name" in text_of(client.post("/ponds/save", {**two, "name": ""}), 422)
    saved = client.post("/ponds/save", {**two, "name": "Value"})
    value = PondSet.objects.get()
    assert saved.headers["Location"] == f"/ponds/{value.public_id}/"
    told = text_of(client.get(saved.headers["Location"]))
    assert "The first day is kept within a minute." in told
    assert "Gold 1 33.3% Others 2 66.7% Everybody else 0" in told
    page = client.get(f"/ponds/{value.public_id}/edit").content.decode()
    assert (page.count('name="pond_name"'), "Golden</option>" in page) == (2, True)
    kept = re.findall(r'name="pond" value="([^"]+)"', page)
    stale = {**two, "pond": [*kept, ""], "name": "Value", "set": str(value.public_id), "version": "7"}
    assert "Somebody else has changed" in text_of(client.post("/ponds/save", stale), 422)
    assert client.post("/ponds/save", {**stale, "version": "1"}).status_code == 302
    assert [str(one) for one in value.ponds.values_list("public_id", flat=True)] == kept
    page = text_of(client.get(f"/audiences/{golden.public_id}/"))
    assert "Value Pond set that asks for it" in page and "It cannot be archived yet" in page
    refused = client.post(f"/audiences/{golden.public_id}/archive", follow=True)
    assert "Ponds are made of it or ask for it, in: Value." in text_of(refused)


def test_flows_days_people_and_the_export(client: Client) -> None:
    ann = Customer.objects.get(number=number("ann")).public_id
    gold("ann", True, 1)
    client.post("/ponds/save", {**lines(("Gold", save())), "name": "Value"})
    value = PondSet.objects.get()
    address = f"/ponds/{value.public_id}/"
    assert "No day yet" in text_of(client.get(f"{address}history"))
    turn(-3)
    pond_days.take(value.pk)
    turn(0)
    gold("ann", False, 2)
    gold("bea", True, 3)
    first = NOW.date() - timedelta(days=3)
    answer = client.get(address)
    told = text_of(answer)
    assert "Gold 1 33.3% 1 1 Everybody else 2 66.7% 1 1" in told
    assert "changed in this time" not in told
    html = answer.content.decode()
    assert "<title>Gold → Everybody else: 1</title>" in html
    assert "style=" not in html[html.index("<main") :], "the security policy forbids it"
    pond = value.ponds.get().pk
    cell = f"{address}people?from={first}&to=now&row={pond}&column=rest"
    assert f'{cell.replace("&", "&amp;")}"' in html
    answer = client.get(cell)
    assert "Gold → Everybody else" in text_of(answer)
    assert re.findall(r'href="/customers/([0-9a-f-]{36})/"', answer.content.decode()) == [str(ann)]
    assert "Make an audience of them" in text_of(answer)
    (builder,) = re.findall(r'href="(/audiences/new[^"]+)"', answer.content.decode())
    told = text_of(client.get(builder.replace("&amp;", "&")))
    assert f"was in the pond “Value·Gold” when {first} began, and is in the pond “Value·everybody else”" in told
    assert "Nobody took this way" in text_of(client.get(f"{address}people?from={first}&row=out&column=out"))
    assert "not there (any more)" in text_of(client.get(f"{address}people?from={first}&row=99&column=rest"))
    services.save(HEADQUARTERS, name="Golden", rule=value.ponds.get().audience.rule, org_node=value.org_node,
                  audience=value.ponds.get().audience)  # fmt: skip
    assert "changed in this time" in text_of(client.get(address))
    pond_days.take(value.pk)
    told = text_of(client.get(f"{address}history"))
    missing = (first + timedelta(days=1), first + timedelta(days=2))
    assert f"{missing[0]:%Y-%m-%d} to {missing[1]:%Y-%m-%d} are missing" in told
    assert "1 +1 −1 2 +1 −1" in told
    assert f"Nothing was kept on {missing[1]:%Y-%m-%d}" in text_of(client.get(f"{address}?from={missing[1]}"))
    chosen = {"set": str(value.public_id), "from": first.isoformat(), "to": (first + timedelta(days=3)).isoformat()}
    sheet = sheet_of_ponds(HEADQUARTERS, chosen)
    assert (sheet.header, sorted(map(tuple, sheet.rows))) == (
        ["From", "To", "Number of people"],
        [("Everybody else", "Everybody else", 1), ("Everybody else", "Gold", 1), ("Gold", "Everybody else", 1)],
    )
    assert client.get(f"/ponds/{uuid4()}/").status_code == 404
    assert "Value" in text_of(client.get("/ponds/"))
    assert "Archived." in text_of(client.post(f"{address}archive", follow=True))
    assert "No pond sets yet" in text_of(client.get("/ponds/"))
    assert "Value" in text_of(client.get("/ponds/?show=archived"))
    assert "It is back." in text_of(client.post(f"{address}restore", follow=True))


def test_ready_made_sets_come_with_their_audiences_and_once(client: Client) -> None:
    told = text_of(client.get("/ponds/"))
    assert "New customers → Active → Slowing down → Lost" in told
    made = []
    for code in ("last-order", "rhythm", "rfm"):
        answer = client.post("/ponds/start", {"start": code})
        made.append(PondSet.objects.order_by("pk").last())
        assert answer.headers["location"] == f"/ponds/{made[-1].public_id}/"
    assert [one.ponds.count() for one in made] == [4, 4, 8]
    assert Audience.objects.count() == 16
    client.post("/ponds/start", {"start": "rfm"})
    assert (PondSet.objects.count(), Audience.objects.count()) == (3, 16), "it is there already"
    lost = Audience.objects.get(name="By the last order·Lost")
    services.save(HEADQUARTERS, name=lost.name, rule=EVERYBODY, org_node=lost.org_node, audience=lost)
    client.post("/ponds/start", {"start": "last-order"})
    another = PondSet.objects.order_by("pk").last()
    assert another is not None and another.name == "By the last order 2"
    names = [one.audience.name.removeprefix("By the last order·") for one in ponds.ponds_of(another)]
    assert names == ["New customers", "Active", "Slowing down", "Lost 2"]
    assert client.post("/ponds/start", {"start": "gone"}).status_code == 400
