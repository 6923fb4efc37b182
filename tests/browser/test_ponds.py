"""Composing a pond set in a real browser: a rule on a page of its own that comes back, by keys and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hetang.audiences.models import Audience, PondSet
from tests.browser.accessibility import dark_violations, violations
from tests.browser.conftest import Visitor
from tests.console.cast import Cast

pytestmark = pytest.mark.browser
Open = Callable[..., Visitor]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_rule_of_its_own_is_composed_and_comes_back(cast: Cast, open_browser: Open, width: int) -> None:
    visitor = open_browser(width=width)
    page = visitor.log_in("headquarters")

    def fine() -> None:
        assert violations(visitor) == []
        assert not visitor.scrolls_sideways()

    visitor.go("/ponds/new")
    page.fill("#name-0", "Buyers")
    page.fill("#id_name", "By buying")
    page.click("text=Or compose a rule here >> nth=0")
    page.wait_for_selector("h1:has-text('Rule of the pond “Buyers”')")
    page.click("details.adder summary")
    page.click(".adder-list button:has-text('Bought') >> nth=0")
    page.wait_for_selector(".part-condition")
    fine()
    page.click("text=Use this rule")
    page.wait_for_selector(".pond-line .sentence")
    assert "bought in the last 30 days" in page.inner_text(".pond-line .sentence").lower()
    assert (page.input_value("#name-0"), page.input_value("#id_name")) == ("Buyers", "By buying")
    fine()
    assert dark_violations(visitor) == []
    # The way there and back again, with nothing changed and nothing asked about leaving.
    page.click("text=Change the rule")
    page.click("text=Back without changes")
    page.wait_for_selector(".pond-line .sentence")
    page.press("#id_name", "Enter")
    page.wait_for_selector("h1:has-text('By buying')")
    assert [one.audience.name for one in PondSet.objects.get().ponds.all()] == ["Buyers"]
    page.click("text=Make it an audience…")
    page.wait_for_selector("dialog[open]")
    fine()
    page.click("dialog[open] button.button-primary")
    page.wait_for_selector("h-toast:has-text('is an audience now')")
    assert Audience.objects.get(pond_set=None).name == "By buying·Buyers"
    fine()
