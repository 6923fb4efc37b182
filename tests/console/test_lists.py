"""Declared lists: sorting and pages by key, chosen columns, saved views and who may share and see them."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from hetang.campaigns.models import Campaign
from hetang.console.lists.registry import TABLES
from hetang.console.models import ListColumns, SavedView
from hetang.console.paging import Count, Page, capped_count, first_page, keyset
from hetang.platform import clock
from hetang.platform.models import AuditEntry
from tests.console.cast import Cast
from tests.console.conftest import client_of


@pytest.fixture
def campaigns(cast: Cast) -> list[Campaign]:
    names = ["b", "c", "a", "b"]
    return [
        Campaign.objects.create(
            name=name,
            starts_on=date(2026, 1, number),
            ends_on=date(2026, 2, number),
            org_node=cast.root,
            created_at=clock.now(),
        )
        for number, name in enumerate(names, 1)
    ]


def _names(client: Client, address: str) -> list[str]:
    return [campaign.name for campaign, _count in client.get(address).context["rows"]]


def _heads(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", head) for head in re.findall(r'<th scope="col".*?</th>', page)]


def test_a_list_is_sorted_by_declared_columns_only(campaigns: list[Campaign], headquarters: Client) -> None:
    assert _names(headquarters, "/campaigns/?sort=name") == ["a", "b", "b", "c"]
    assert _names(headquarters, "/campaigns/?sort=-name") == ["c", "b", "b", "a"]
    assert _names(headquarters, "/campaigns/?sort=-period") == ["b", "a", "c", "b"]
    assert _names(headquarters, "/campaigns/?sort=owner") == _names(headquarters, "/campaigns/")
    assert 'aria-sort="ascending"' in headquarters.get("/campaigns/?sort=name").content.decode()


@pytest.mark.parametrize("sort", ["", "name", "-name", "period", "-period"])
def test_every_order_pages_through_all_rows_once(
    campaigns: list[Campaign], headquarters: Client, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    whole = _names(headquarters, f"/campaigns/?sort={sort}")
    monkeypatch.setattr("hetang.console.lists.tables.read.__defaults__", (1,))
    seen, after = [], ""
    for _ in campaigns:
        answer = headquarters.get("/campaigns/", {"sort": sort, "after": after})
        seen += [campaign.name for campaign, _count in answer.context["rows"]]
        after = answer.context["listing"].page.later
    assert (seen, after) == (whole, None)


def test_a_page_read_together_with_its_count_is_the_page_of_the_cursors(campaigns: list[Campaign], cast: Cast) -> None:
    rows, order = Campaign.objects.select_related("org_node").filter(name__in="abc"), ("name", "id")
    request = RequestFactory().get("/")
    for size, cap in ((1, 2), (3, 3), (3, 4), (4, 5), (9, 9)):
        page, count = first_page(rows, order, size, cap)
        assert (page, count) == (keyset(rows, order, request, size), capped_count(rows, cap))
    assert first_page(rows.none(), order) == (Page([]), Count(0, False))
    assert "org_node" in page.rows[0]._state.fields_cache


def test_people_of_a_part_of_the_organisation_are_chosen_once(cast: Cast, manager: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        manager.get("/customers/")
    asked = [one["sql"] for one in queries if "customers_relation" in one["sql"]]
    assert [one[:20] for one in asked] == ["select count(*), (ar"]


def test_a_cursor_of_another_order_starts_at_the_beginning(campaigns: list[Campaign], headquarters: Client) -> None:
    import base64
    import json

    cursor = base64.urlsafe_b64encode(json.dumps(["x", "y"]).encode()).decode()
    assert _names(headquarters, f"/campaigns/?sort=period&after={cursor}") == ["b", "c", "a", "b"]


def test_columns_are_chosen_per_person_and_list(cast: Cast, campaigns: list[Campaign], headquarters: Client) -> None:
    headquarters.post("/lists/campaigns/columns", {"column": ["state", "owner", "name", "nonsense"], "next": "/evil"})
    assert ListColumns.objects.get(user=cast.headquarters).columns == ["owner", "state"]
    page = headquarters.get("/campaigns/").content.decode()
    assert _heads(page) == ["Campaign", "Owner", "State"]
    assert 'data-label="Owner"' in page and 'data-label="Budget"' not in page
    assert "Budget" in _heads(client_of(cast.manager_a).get("/campaigns/").content.decode())
    headquarters.post("/lists/campaigns/columns", {"usual": "1"})
    assert "Budget" in _heads(headquarters.get("/campaigns/").content.decode())


def test_a_view_keeps_filters_order_and_columns(cast: Cast, campaigns: list[Campaign], headquarters: Client) -> None:
    answer = headquarters.post(
        "/lists/campaigns/views",
        {"name": "Mine", "q": "b", "sort": "-period", "evil": "x", "column": ["state"], "shared": "on"},
    )
    view = SavedView.objects.get()
    assert (view.query, view.columns, view.shared) == ({"q": "b", "sort": "-period"}, ["state"], True)
    assert AuditEntry.objects.filter(action="view.saved").count() == 1
    page = headquarters.get(answer["Location"])
    assert [campaign.name for campaign, _count in page.context["rows"]] == ["b", "b"]
    assert _heads(page.content.decode()) == ["Campaign", "State"]


def test_a_view_of_customers_never_keeps_what_was_searched(cast: Cast, headquarters: Client) -> None:
    headquarters.post("/lists/customers/views", {"name": "Her", "q": "13812345678", "store": "A"})
    assert SavedView.objects.get().query == {"store": "A"}


def test_views_are_shared_only_by_permission_and_removed_by_whom_they_belong_to(
    cast: Cast, headquarters: Client, manager: Client
) -> None:
    manager.post("/lists/customers/views", {"name": "Private", "shared": "on"})
    headquarters.post("/lists/customers/views", {"name": "Ours", "shared": "on"})
    own, ours = SavedView.objects.get(name="Private"), SavedView.objects.get(name="Ours")
    assert (own.shared, ours.shared) == (False, True)
    assert [one.name for one in manager.get("/customers/").context["listing"].views] == ["Ours", "Private"]
    assert [one.name for one in headquarters.get("/customers/").context["listing"].views] == ["Ours"]
    assert manager.post(f"/lists/views/{ours.public_id}/remove").status_code == 404
    assert headquarters.post(f"/lists/views/{own.public_id}/remove").status_code == 404
    assert manager.post(f"/lists/views/{own.public_id}/remove").status_code == 302
    assert [view.name for view in SavedView.objects.all()] == ["Ours"]


def test_nobody_keeps_anything_of_a_list_that_she_may_not_open(cast: Cast, manager: Client) -> None:
    for code in ("audit", "jobs", "nonsense"):
        assert manager.post(f"/lists/{code}/columns").status_code == 404
        assert manager.post(f"/lists/{code}/views", {"name": "x"}).status_code == 404


def test_every_declared_list_opens_with_every_order_and_all_columns(cast: Cast, headquarters: Client) -> None:
    from django.urls import reverse

    for table in TABLES.values():
        columns = [one.code for one in table.columns if not one.fixed]
        headquarters.post(f"/lists/{table.code}/columns", {"column": columns})
        for sort in ["", *(f"{sign}{one.code}" for one in table.columns if one.sort for sign in ("", "-"))]:
            assert headquarters.get(reverse(table.url_name), {"sort": sort}).status_code == 200
