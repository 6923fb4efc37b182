"""The measuring pages as people see them, in both languages and with their limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client

from hetang.commerce.history import ensure_schema
from hetang.platform import brand, clock, jobs
from hetang.platform import clickhouse as store
from hetang.platform.models import Brand, OrgNode
from hetang.touch.models import PlanSender, ShortLink
from tests.console import cast
from tests.console.taking_out import ask, exported
from tests.insights.test_reports import OVER, broadcast, buy, send
from tests.touch.world import NOW, organisation, programme, request

pytestmark = pytest.mark.django_db

TODAY = datetime(2026, 3, 12, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    brand.forget()
    clock.freeze(NOW)
    yield
    clock.freeze(None)
    brand.forget()


def browser(role: str = "headquarters", node: str = "brand", language: str = "en") -> Client:
    user = cast.user(f"{role}-{node}-{language}", role, OrgNode.objects.get(code=node), language)
    client = Client(headers={"accept-language": language})
    client.force_login(user)
    return client


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    # what keeps a date or an amount on one line is no part of the sentence
    return re.sub(r'<span class="nowrap">([^<]*)</span>', r"\1", answer.content.decode())


@pytest.fixture
def shop(clickhouse: str) -> None:
    """Two stores and two weeks: 100 per day before, 150 after; anonymous orders and one store named like a formula."""
    ensure_schema()
    Brand.objects.update_or_create(id=1, defaults={"name": "Lotus", "currency": "USD"})
    organisation()
    OrgNode.objects.get(code="s1").store.__class__.objects.filter(code="s1").update(name="=1+1")
    rows = []
    for place in range(14):
        at = datetime(2026, 2, 26, 4, tzinfo=UTC) + timedelta(days=place)
        for one in range(10):
            net = 1_000 if place < 7 else 1_500
            rows.append((one, at, at.date(), "pos", f"{place}-{one}", f"s{one % 2}", "store", net, 0, 1))
    columns = ("customer", "placed_at", "day", "source", "order_key", "store", "channel", "net", "discount", "lines")
    store.insert("orders", columns, rows, "shop")
    clock.freeze(TODAY)


@pytest.mark.engine
def test_the_board_says_it_in_a_sentence_first(shop: None) -> None:
    page = text(browser(), "/insights/board?period=7d")

    assert "Net sales were $1,050.00, $350.00 (50.0%) more than from 2026-02-26 to 2026-03-04." in page
    assert "What moved it most: Average order value (+$315.00), then Orders without a customer (+$35.00)." in page
    assert "visitors (UV) and conversion are left out, never estimated" in page
    spec = json.loads(re.search(r'<script id="trend-spec"[^>]*>(.*?)</script>', page)[1])  # type: ignore[index]
    assert spec["series"][0]["data"] == [150.0] * 7
    assert spec["series"][1]["data"] == [100.0] * 7
    assert spec["prefix"] == "$"


@pytest.mark.engine
def test_the_board_speaks_chinese(shop: None) -> None:
    page = text(browser(language="zh-hans"), "/insights/board?period=7d")

    assert "净销售额 $1,050.00，比 2026-02-26 至 2026-03-04 增加 $350.00（50.0%）。" in page
    assert "客单价（笔均）" in page
    assert "观察值" in page


@pytest.mark.engine
def test_visits_bring_visitors_and_conversion(shop: None) -> None:
    days = [date(2026, 2, 27), date(2026, 3, 6)]
    rows = [(one, datetime(d.year, d.month, d.day, tzinfo=UTC), d, "s1", "store") for d in days for one in range(19)]
    store.insert("visits", ("customer", "at", "day", "store", "channel"), rows, "visits")
    page = text(browser(), "/insights/board?period=7d")

    assert "Visitors (UV)" in page
    assert "50.0%" in page  # nine buyers of eighteen visitors
    assert "never estimated" not in page


@pytest.mark.engine
def test_the_board_as_csv_is_exact_and_runs_no_formula(shop: None) -> None:
    rows = exported(browser(), "board?period=7d")

    total = rows[1]
    assert total[0] == "Total"
    assert total[3:] == ["2026-03-05", "2026-03-11", "1050.00", "945.00", "105.00", "", "9", "63", "7"]
    assert [row[2] for row in rows if row[1] == "s1"] == ["'=1+1", "'=1+1"]


@pytest.mark.engine
def test_a_store_managers_board_is_her_stores(shop: None) -> None:
    page = text(browser("store_manager", "s0"), "/insights/board?period=7d")

    assert "Net sales were $525.00" in page
    assert "=1+1" not in page


@pytest.mark.engine
def test_dates_that_make_no_sense_say_what_to_do(shop: None) -> None:
    page = text(browser(), "/insights/board?from=2026-03-05&to=2026-03-01")

    assert "A period ends before it begins. Swap its days." in page
    assert "Last 28 days" in page


@pytest.mark.engine
def test_days_without_anything_have_an_empty_state(shop: None) -> None:
    assert "Nothing happened in these days" in text(browser(), "/insights/board?from=2020-01-01&to=2020-01-02")


def test_without_the_engine_the_board_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETANG_CLICKHOUSE_URL", raising=False)
    monkeypatch.delenv("HETANG_SETS_URL", raising=False)
    organisation()

    assert "the board cannot be counted" in text(browser(), "/insights/board")
    assert "the board cannot be counted" in text(browser("store_manager", "s0"), "/store-board")
    asked = ask(browser("headquarters", "east"), "board")
    jobs.run_waiting()
    asked.refresh_from_db()
    assert (asked.state, asked.why) == ("failed", "history_away")


@pytest.mark.engine
def test_before_the_history_is_laid_out_the_home_page_opens(clickhouse: str) -> None:
    ensure_schema()
    store.command("drop table orders sync")
    organisation()

    assert "the board cannot be counted" in text(browser("store_manager", "s0"), "/store-board")
    ensure_schema()


def test_the_report_of_a_finished_broadcast() -> None:
    made = broadcast(size=1_200, advisers=24, texts=("A", "B"), design="cluster", seed="pair")
    send(made)
    buy("mod(number, 4) = 0", 5_000)
    buy("mod(number, 3) = 0 and number in (select customer from touch_touch where state = 'sent')", 9_000, key="x")
    clock.freeze(OVER)
    address = f"/insights/reports/{made.public_id}"
    english, chinese = browser(), browser(language="zh-hans")
    page = text(english, address)

    assert "The broadcast brought about ¥" in page
    assert "Zero lies outside the range: chance alone hardly does that." in page
    assert "Yes: people were divided as planned." in page
    assert "Variant 2 against variant 1 (by adviser)" in page
    assert "Control group (not sent)" in page
    assert "这次群发多带来净销售额约" in text(chinese, address)
    assert "reports that (identified: 0)." in page
    ShortLink.objects.filter(programme_id=made.pk).update(clicks=25, identified=2)
    links = ShortLink.objects.filter(programme_id=made.pk).count()
    assert f"Identified: {2 * links} (a page or a provider said whose they are)." in text(english, address)
    assert f"其中已识别身份 {2 * links} 次" in text(chinese, address)
    rows = exported(browser("headquarters", "east"), f"report?report={address.rpartition('/')[2]}")
    assert ["Funnel", "Control group (not sent)"] in [row[:2] for row in rows]
    assert {row[0] for row in rows} >= {"Funnel", "Group", "All against the control group", "Store", "Adviser"}


def test_before_the_window_is_over_the_report_says_when() -> None:
    made = broadcast(size=200)
    send(made)
    page = text(browser(), f"/insights/reports/{made.public_id}")

    assert "Not measurable yet: orders count until 2026-03-11 11:00." in page
    assert "还不能衡量：订单统计到 2026-03-11 11:00 为止" in text(
        browser(language="zh-hans"), f"/insights/reports/{made.public_id}"
    )
    assert "Conversion per person reached" not in page
    assert "All of it" in page


def test_a_store_manager_sees_only_her_advisers() -> None:
    made = broadcast(size=400)
    send(made)
    clock.freeze(OVER)
    page = text(browser("store_manager", "s0"), f"/insights/reports/{made.public_id}")

    assert "Store 0" in page
    assert "Store 1" not in page


def test_a_broadcast_that_none_of_her_staff_sends_is_not_hers() -> None:
    made = broadcast(size=40)
    PlanSender.objects.exclude(staff_id=min(PlanSender.objects.values_list("staff_id", flat=True))).delete()
    hers, not_hers = browser("store_manager", "s0"), browser("store_manager", "s1")

    assert f"/insights/reports/{made.public_id}" in text(hers, "/insights/reports")
    assert "No reports yet" in text(not_hers, "/insights/reports")
    assert not_hers.get(f"/insights/reports/{made.public_id}").status_code == 404
    assert not_hers.get(f"/exports/new/report?report={made.public_id}").status_code == 404


def test_a_broadcast_without_a_plan_says_what_comes_first() -> None:
    organisation()
    made = programme(request())

    assert "has not been planned yet" in text(browser(), f"/insights/reports/{made.public_id}")


def test_lists_and_definitions() -> None:
    organisation()
    client = browser()

    assert "No reports yet" in text(client, "/insights/reports")
    assert "net sales of known customers ÷ their orders" in text(client, "/insights/definitions")
    assert "购买人数 ÷ 访客数" in text(browser(language="zh-hans"), "/insights/definitions")
    assert client.get("/insights/reports/00000000-0000-0000-0000-000000000000").status_code == 404


@pytest.mark.engine
def test_days_without_orders_at_the_end_are_named(shop: None) -> None:
    somebody = browser()
    assert "No order after" not in text(somebody, "/insights/board?period=7d")
    page = text(somebody, "/insights/board?from=2026-03-05&to=2026-03-13")
    assert re.search(r"No order after <time[^>]*>2026-03-11</time>, the last 2 days of the period\.", page)
