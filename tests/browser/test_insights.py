"""Board and report with data in a real browser: charts draw under the strict policy, phones do not scroll sideways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hetang.commerce.history import ensure_schema
from hetang.platform import brand, clock
from hetang.platform import clickhouse as store
from hetang.platform.models import OrgNode
from hetang.touch.models import Programme
from tests.browser.accessibility import violations
from tests.browser.conftest import Visitor
from tests.console import cast as people
from tests.insights.test_reports import OVER, broadcast, buy, send
from tests.touch.world import NOW

pytestmark = [pytest.mark.browser, pytest.mark.engine]
Open = Callable[..., Visitor]


@pytest.fixture
def finished(transactional_db: None, clickhouse: str) -> Iterator[Programme]:
    """A broadcast that is over, orders and visits of two months, and headquarters."""
    brand.forget()
    clock.freeze(NOW)
    ensure_schema()
    made = broadcast(size=600, advisers=12, texts=("A", "B"), design="cluster", seed="pair")
    send(made)
    buy("mod(number, 3) = 0", 5_000)
    people.user("headquarters", "headquarters", OrgNode.objects.get(code="brand"))
    first = datetime(2026, 1, 14, 4, tzinfo=UTC)
    days = [first + timedelta(days=place) for place in range(56)]
    orders = [
        (1 + one, at, at.date(), "pos", f"{at:%j}-{one}", f"s{one % 6}", "store", 1_000 + 10 * at.day, 0, 1)
        for at in days
        for one in range(12)
    ]
    columns = ("customer", "placed_at", "day", "source", "order_key", "store", "channel", "net", "discount", "lines")
    store.insert("orders", columns, orders, "browser-orders")
    visits = [(1 + one, at, at.date(), "s0", "store") for at in days for one in range(30)]
    store.insert("visits", ("customer", "at", "day", "store", "channel"), visits, "browser-visits")
    clock.freeze(OVER)
    yield made
    clock.freeze(None)
    brand.forget()


def test_board_and_report(finished: Programme, open_browser: Open) -> None:
    visitor = open_browser()
    page = visitor.log_in("headquarters")
    visitor.go("/insights/board")
    page.wait_for_selector("e-chart svg path", state="attached")
    page.click("summary:has-text('As a table')")
    assert page.locator("details[open] tbody tr").count() >= 28
    found = violations(visitor)
    visitor.go(f"/insights/reports/{finished.public_id}")
    page.wait_for_selector("ol.funnel svg")
    found += violations(visitor)
    visitor.go("/insights/definitions")
    assert found + violations(visitor) == []


def test_on_a_phone_nothing_scrolls_sideways(finished: Programme, open_browser: Open) -> None:
    visitor = open_browser(width=390)
    visitor.log_in("headquarters")
    for address in ("/", f"/insights/reports/{finished.public_id}", "/insights/reports", "/insights/definitions"):
        visitor.go(address)
        assert not visitor.scrolls_sideways(), address
