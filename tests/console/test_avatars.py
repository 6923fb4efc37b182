"""Avatars on customers' pages: one's own company's, of nobody under fourteen."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.connectors.wecom.models import Avatar, Corp
from hetang.customers import minors
from hetang.customers.models import Customer, Identity
from hetang.platform import clock
from hetang.platform.models import OrgNode
from hetang.platform.sealing import seal
from tests.console.cast import Cast, user


@pytest.fixture
def address(cast: Cast) -> str:
    now = clock.now()
    Corp.objects.create(corpid="ww1", is_default=True, created_at=now)
    mei = Customer.objects.create(number=1, created_at=now, home_store=cast.store_a)
    Identity.objects.create(kind="external_userid", key="wm1", customer=mei, evidence_number=1, first_seen_at=now)
    return f"/customers/{mei.public_id}/avatar"


def keep() -> None:
    Avatar.objects.update_or_create(
        external_userid="wm1", defaults={"state": "kept", "picture": seal(b"jpeg"), "wanted_at": clock.now()}
    )


def test_a_page_wishes_for_it_and_shows_it_from_here(cast: Cast, headquarters: Client, address: str) -> None:
    page = address.removesuffix("avatar")
    assert address not in headquarters.get("/customers/").text
    assert Avatar.objects.get().external_userid == "wm1"
    assert headquarters.get(address).status_code == 404
    keep()
    assert address in headquarters.get("/customers/").text
    assert address in headquarters.get(page).text
    answer = headquarters.get(address)
    assert (answer.content, answer.headers["Content-Type"]) == (b"jpeg", "image/jpeg")
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_of_another_store_or_company_nobody_sees_one(
    cast: Cast, headquarters: Client, address: str, client: Client
) -> None:
    keep()
    client.force_login(user("manager_b", "store_manager", cast.store_b.org_node))
    assert client.get(address).status_code == 404
    OrgNode.objects.filter(pk=cast.store_a.org_node.pk).update(legal_entity="Acme")
    assert headquarters.get(address).status_code == 404
    assert address not in headquarters.get("/customers/").text


def test_of_children_none_is_shown_or_fetched(
    cast: Cast, headquarters: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minors, "among", lambda numbers, _day: set(numbers))
    headquarters.get("/customers/")
    headquarters.get(address.removesuffix("avatar"))
    assert not Avatar.objects.exists()
    keep()
    assert headquarters.get(address).status_code == 404
    assert address not in headquarters.get("/customers/").text
