"""What a page fetches after it opened, and does not get: it says so in its own place, and can be asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Route

from hetang.audiences.models import Audience
from hetang.audiences.portrait import Portrait
from hetang.console.audiences import portraits
from hetang.platform import clock
from hetang.platform.engine_client import EngineUnavailable
from hetang.platform.models import OrgNode
from tests.browser.accessibility import violations
from tests.browser.conftest import Visitor
from tests.console import people
from tests.console.cast import Cast

pytestmark = pytest.mark.browser
Open = Callable[..., Visitor]


# What the browser and htmx note of a request that failed.
_OF_THE_FAILURE = ("Failed to load resource", "Response Status Error Code 500", "htmx:")


def nothing_else_went_wrong(visitor: Visitor) -> None:
    visitor.troubles = [one for one in visitor.troubles if not one.startswith(_OF_THE_FAILURE)]


def _once(answers: Iterator[Exception]) -> Portrait:
    for refusal in answers:
        raise refusal
    return Portrait(people=3, others=3)


def _fails(route: Route) -> None:
    route.fulfill(status=500, body="")


def _is_lost(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize("way", [_fails, _is_lost])
def test_a_comparison_that_does_not_come_can_be_asked_for_again(
    cast: Cast, open_browser: Open, way: Callable[[Route], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    audience = Audience.objects.create(
        name="All",
        rule={"version": 1, "rule": {"all": []}},
        org_node=OrgNode.objects.get(parent=None),
        created_at=now,
        updated_at=now,
    )
    visitor = open_browser(width=390)
    page = visitor.log_in("headquarters")
    page.route("**/comparison", way)
    visitor.go(f"/audiences/{audience.public_id}/portrait")
    page.wait_for_selector("main .notice-bad:has-text('This part of the page did not come.')")
    assert page.locator(".spinner:visible, .skeleton:visible, .toasts .trouble, [aria-busy=true]").count() == 0
    assert violations(visitor) == []
    assert not visitor.scrolls_sideways()
    with page.expect_request("**/comparison"):
        page.click("main button:has-text('Try again')")
    page.wait_for_selector("main .notice-bad button")  # it fails again, and says so again
    page.unroute("**/comparison")
    answers = iter([EngineUnavailable()])
    monkeypatch.setattr(portraits, "portrait", lambda *_arguments: _once(answers))
    page.click("main button:has-text('Try again')")
    page.wait_for_selector("main .notice-warn:has-text('The audience engine is not answering.')")
    assert page.locator("main .notice-bad").count() == 0
    page.click("main .notice-warn button:has-text('Try again')")
    page.wait_for_selector("main :text('Too few people to compare')")
    nothing_else_went_wrong(visitor)


def test_a_part_of_a_customers_page_says_so_beside_the_rest(cast: Cast, open_browser: Open) -> None:
    visitor = open_browser()
    page = visitor.log_in("headquarters")
    page.route("**/audiences", _fails)
    visitor.go(f"/customers/{people.customer('m1').public_id}/")
    page.wait_for_selector("#side .notice-bad button:has-text('Try again')")
    assert page.locator("h-toast.trouble").count() == 0
    page.unroute("**/audiences")
    page.click("#side .notice-bad button:has-text('Try again')")
    page.wait_for_selector("#side .notice-bad", state="detached")
    nothing_else_went_wrong(visitor)
