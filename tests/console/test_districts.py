"""The brand's own list of districts: looked at, exported, corrected and deleted, with what rules lose."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.test import Client

from hetang.audiences.models import Audience
from hetang.imports.rules import suggest_columns
from hetang.imports.targets import TARGETS
from hetang.platform import brand, clock
from hetang.platform.models import AuditEntry, Brand, OrgNode
from hetang.resources.models import District, Store
from tests.console.taking_out import exported

PAGE = "/imports/districts/"


def make(code: str, name: str, parent: str, latitude: str | None = "31.2") -> District:
    centre = {"latitude": latitude, "longitude": "121.4", "datum": "gcj02"} if latitude else {}
    return District.objects.create(code=code, name=name, parent=parent, **centre)


def make_store(code: str, country: str) -> None:
    root = OrgNode.objects.get(code="brand")
    node = OrgNode.objects.create(kind="store", code=code, name=code, path=f"{root.path}{code}.", parent=root)
    Store.objects.create(code=code, name=code, country=country, org_node=node)


def ask_for(name: str, **rule: Any) -> None:
    document = {"version": 1, "rule": {"type": "district", "of": "place", **rule}}
    brand, now = OrgNode.objects.get(code="brand"), clock.now()
    Audience.objects.create(name=name, rule=document, org_node=brand, created_at=now, updated_at=now)


def test_the_list_is_searched_filtered_and_exported_as_its_import_takes_it(headquarters: Client) -> None:
    empty = headquarters.get(PAGE).content.decode()
    assert '<a class="button button-primary" href="/imports/new?target=districts">' in empty
    assert "/exports/new/districts" not in empty
    make("310106", "Jing'an", "Shanghai")
    make("320505", "Huqiu", "Suzhou", None)
    page = headquarters.get(PAGE).content.decode()
    assert "31.200000, 121.400000 · " in page and "none, not used" in page
    for asked, found in (({"q": "3201"}, set()), ({"q": "suz"}, {"Huqiu"}), ({"city": "Shanghai"}, {"Jing&#x27;an"})):
        page = headquarters.get(PAGE, asked).content.decode()
        assert {name for name in ("Jing&#x27;an", "Huqiu") if f">{name}</th>" in page} == found
    header, *rows = exported(headquarters, "districts?city=Shanghai")
    assert list(suggest_columns(TARGETS["districts"], header)) == [one.name for one in TARGETS["districts"].fields]
    assert rows == [["310106", "Jing'an", "Shanghai", "31.200000", "121.400000", "GCJ-02"]]


def test_a_district_is_corrected_and_deleted_with_the_consequence_said(headquarters: Client, manager: Client) -> None:
    one, other = make("310106", "Jing'an", "Shanghai"), make("310101", "Huangpu", "Shanghai")
    ask_for("Near the temple", districts=["310106"])
    ask_for("Townspeople", parents=["Shanghai"])
    address = f"{PAGE}{one.pk}/"
    page = headquarters.get(address).content.decode()
    assert "<li>Near the temple</li>" in page and "Townspeople" not in page  # another district keeps the city
    said = {"name": "Jing An", "parent": "Shanghai", "latitude": "31.23", "longitude": "121.45", "datum": "gcj02"}
    for wrong in (
        {"latitude": "121.45", "longitude": "31.23"},
        {"longitude": ""},
        {"latitude": "0", "longitude": "0"},
        {"datum": ""},
    ):
        assert headquarters.post(address, said | wrong).status_code == 422
    assert headquarters.post(address, said).status_code == 302
    entry = AuditEntry.objects.get(action="district.changed")
    assert (entry.target_id, entry.changes["name"]) == ("310106", ["Jing'an", "Jing An"])
    assert entry.changes["latitude"] == ["31.200000", "31.23"]
    assert headquarters.post(f"{PAGE}{other.pk}/delete").status_code == 302
    last = headquarters.get(address).content.decode()
    assert "<li>Townspeople</li>" in last and "It is the last district of Shanghai with a centre" in last
    assert AuditEntry.objects.get(action="district.deleted").changes == {"name": "Huangpu", "parent": "Shanghai"}
    assert [manager.get(PAGE).status_code, manager.post(f"{address}delete").status_code] == [403, 403]
    assert District.objects.get() == one


def test_a_centre_where_none_can_be_is_refused_until_somebody_insists(headquarters: Client) -> None:
    """The brand is in China and has a store in Singapore; its other districts of Shanghai are at 31.2, 121.4."""
    one = make("310106", "Jing'an", "Shanghai")
    make("310101", "Huangpu", "Shanghai")
    make("310199", "Nowhere", "Shanghai", None)
    address = f"{PAGE}{one.pk}/"
    said = {"name": "Jing'an", "parent": "Shanghai", "latitude": "31.23", "longitude": "121.45", "datum": "gcj02"}
    assert 'name="sure"' not in headquarters.get(address).content.decode()
    paris = said | {"latitude": "48.85", "longitude": "2.35", "datum": "wgs84", "parent": ""}
    singapore = paris | {"latitude": "1.35", "longitude": "103.8"}
    for abroad in (paris, singapore):
        answer = headquarters.post(address, abroad)
        page = answer.content.decode()
        assert answer.status_code == 422
        assert "outside of the countries in which you have stores" in page and 'name="sure"' in page
    make_store("sg", "SG")
    assert headquarters.post(address, singapore).status_code == 302, "she has a store there"
    # 3.1 for 31.2: in the box of China there is no such place, but 36.2 would pass for it without its city.
    answer = headquarters.post(address, said | {"latitude": "36.2"})
    assert answer.status_code == 422
    assert "This is 556 km from the nearest other district of Shanghai." in answer.content.decode()
    assert headquarters.post(address, said | {"latitude": "36.2", "parent": "Qingdao"}).status_code == 302
    assert headquarters.post(address, said | {"latitude": "36.2", "sure": "on"}).status_code == 302
    assert headquarters.post(address, paris | {"sure": "on"}).status_code == 302
    one.refresh_from_db()
    assert (one.latitude, one.longitude) == (Decimal("48.85"), Decimal("2.35"))
    # What is no position stays none, whoever insists.
    for wrong in ({"latitude": "121.45", "longitude": "31.23"}, {"latitude": "0", "longitude": "0"}, {"datum": ""}):
        answer = headquarters.post(address, said | wrong | {"sure": "on"})
        assert answer.status_code == 422
    Brand.objects.update(time_zone="America/Bogota")  # of a country that is not known here
    brand.forget()
    assert headquarters.post(address, paris | {"latitude": "48.86"}).status_code == 302
