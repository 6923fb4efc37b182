"""The customer's own page on a phone: nothing leaves the machine, nothing scrolls sideways, everybody can read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hetang.platform.access import actor_for
from hetang.privacy import own_page
from tests.browser.accessibility import violations
from tests.browser.conftest import Visitor
from tests.console import people
from tests.console.cast import Cast

pytestmark = pytest.mark.browser


def test_on_a_phone_in_both_languages(cast: Cast, open_browser: Callable[..., Visitor]) -> None:
    link = own_page.make_link(actor_for(cast.headquarters), people.customer("m1"))
    visitor = open_browser(390, color_scheme="dark")
    page = visitor.go(f"/h5/privacy/{own_page.token_of(link)}")
    assert page.url.endswith("/h5/privacy/")
    assert "我的个人信息" in page.locator("h1").inner_text()
    page.click("text=English")
    page.wait_for_selector("html[lang='en']")
    page.fill("#answer", "13812345678")
    page.click("text=That is me")
    page.wait_for_selector("text=Thank you")
    assert page.locator("#erase button").is_visible()
    assert not visitor.scrolls_sideways()
    assert violations(visitor) == []
    page.click("#known a.button")
    page.wait_for_selector("text=13812345678")
    assert not visitor.scrolls_sideways()
    assert violations(visitor) == []
