"""The search of the frame: what it finds, for whom, with how many queries; and the guide inside the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hetang.audiences.models import Audience
from hetang.campaigns.models import Campaign
from hetang.console.help import guide
from hetang.platform import brand, clock
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast
from tests.console.conftest import client_of, empty_everything

TYPING = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def folk(django_db_setup: None, django_db_blocker: Any) -> Iterator[Cast]:
    with django_db_blocker.unblock():
        brand.forget()
        made = cast_of_all.make()
        people.come_in(made)
        for node, name in ((made.root, "Milk lovers"), (made.store_b.org_node, "Milk of store B")):
            rule = {"type": "all", "items": []}
            Audience.objects.create(
                name=name, rule=rule, org_node=node, created_at=clock.now(), updated_at=clock.now(), count=7
            )
        Campaign.objects.create(
            name="Spring milk",
            starts_on=clock.today(),
            ends_on=clock.today(),
            org_node=made.store_b.org_node,
            created_at=clock.now(),
        )
    yield made
    with django_db_blocker.unblock():
        empty_everything()


@pytest.fixture
def headquarters(db: None, folk: Cast) -> Client:
    return client_of(folk.headquarters)


@pytest.fixture
def manager(db: None, folk: Cast) -> Client:
    return client_of(folk.manager_a)


def _found(client: Client, text: str) -> dict[str, list[str]]:
    groups = client.get("/search", {"q": text}).context["groups"]
    return {str(group.label): [hit.title for hit in group.hits] for group in groups}


@pytest.mark.parametrize("text", ["m1", "13812345678", "+86 138 1234 5678", "wm1"])
def test_a_customer_is_found_by_what_names_exactly_her_and_shown_masked(headquarters: Client, text: str) -> None:
    assert _found(headquarters, text)["Customers"] == ["王**"]
    assert "王小梅" not in headquarters.get("/search", {"q": text}).content.decode()


def test_a_customer_is_found_by_her_number_and_public_id(headquarters: Client) -> None:
    bo = people.customer("m2")
    assert _found(headquarters, str(bo.number))["Customers"] == ["B*** S***"]
    assert _found(headquarters, str(bo.public_id))["Customers"] == ["B*** S***"]


def test_parts_of_identifiers_and_names_find_nobody(headquarters: Client) -> None:
    for text in ("1381234567", "王", "Bo Smith", "%", "_", "m"):
        assert "Customers" not in _found(headquarters, text)


def test_nobody_outside_the_scope_is_found_by_anything(manager: Client) -> None:
    bo = people.customer("m2")
    for text in ("m2", str(bo.number), str(bo.public_id)):
        assert "Customers" not in _found(manager, text)
    assert _found(manager, "m1")["Customers"] == ["王**"]


def test_audiences_and_campaigns_by_a_part_of_their_name_within_the_scope(
    headquarters: Client, manager: Client
) -> None:
    found = _found(headquarters, "MILK")
    assert found["Audiences"] == ["Milk of store B", "Milk lovers"]
    assert found["Campaigns"] == ["Spring milk"]
    assert "Milk of store B" not in str(_found(manager, "milk"))
    assert "Campaigns" not in _found(manager, "milk")


def test_pages_are_found_in_both_languages_and_only_those_that_one_may_open(
    headquarters: Client, manager: Client
) -> None:
    assert "Customers" in _found(headquarters, "客户")["Pages"]
    assert "Imports" in _found(headquarters, "import")["Pages"]
    assert "Pages" not in _found(manager, "import")


def test_the_guide_is_found_and_read(headquarters: Client) -> None:
    titles = _found(headquarters, "look before you send")["Help"]
    assert titles == ["4. Look before you send"]
    page = headquarters.get("/help").content.decode()
    assert 'id="part-4"' in page and "Look before you send" in page
    assert ".md" not in page and "reference/" not in page  # pages of the repository, which are none of the console


def test_the_lines_of_the_chinese_guide_join_without_a_blank() -> None:
    from django.utils.translation import override

    with override("zh-hans"):
        text = "".join(section.html for section in guide.sections())
    assert not re.search(r"[\u4e00-\u9fff，。；：、）]\n[\u4e00-\u9fff（“]", text)
    assert "（首页只有自己的任务和客户）。数据加载期间" in text


def test_the_guide_has_the_same_chapters_in_both_languages() -> None:
    from django.utils.translation import override

    with override("en"):
        english = len(guide.sections())
    with override("zh-hans"):
        assert len(guide.sections()) == english > 5


def test_typing_gets_a_fragment_and_no_cache_keeps_it(headquarters: Client) -> None:
    answer = headquarters.get("/search", {"q": "m1"}, headers=TYPING)
    assert "<html" not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert "<html" in headquarters.get("/search", {"q": "m1"}).content.decode()


def test_nothing_found_says_what_can_be_found(headquarters: Client) -> None:
    page = headquarters.get("/search", {"q": "<b>zzz"}).content.decode()
    assert "Nothing fits" in page and "<b>zzz" not in page


def test_a_search_takes_a_bounded_number_of_queries(headquarters: Client) -> None:
    headquarters.get("/search", {"q": "m1"}, headers=TYPING)
    with CaptureQueriesContext(
        connection,
    ) as taken:
        headquarters.get("/search", {"q": "m1"}, headers=TYPING)
    assert len(taken) <= 16
