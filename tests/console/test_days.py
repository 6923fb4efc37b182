"""Days and times as people type them, and the fields in which they do."""

from __future__ import annotations

from datetime import time

import pytest
from django.test import Client

from hetang.console.days import iso_day, iso_moment, time_of
from hetang.console.styleguide import SampleForm
from tests.console.cast import Cast


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-27", "2026-11-27"),
        (" 2026/1/5 ", "2026-01-05"),
        ("2026.11.27", "2026-11-27"),
        ("2026年1月5日", "2026-01-05"),
        ("２０２６－１１－２７", "2026-11-27"),
        ("20261127", "2026-11-27"),
        ("11/27/2026", "11/27/2026"),
        ("27.11.2026", "27.11.2026"),
        ("soon", "soon"),
        ("", ""),
    ],
)
def test_a_day_may_be_written_in_several_ways(typed: str, meant: str) -> None:
    assert iso_day(typed) == meant


def test_a_moment_is_a_day_and_a_time() -> None:
    assert iso_moment("2026/11/27 20:00") == "2026-11-27 20:00"
    assert iso_moment("2026-11-27T20:00") == "2026-11-27 20:00"
    assert iso_moment("20:00") == "20:00"
    assert (time_of("22:00"), time_of("8：30"), time_of("0800")) == (time(22), time(8, 30), time(8))
    for wrong in ("22", "25:00", "10 pm", ""):
        with pytest.raises(ValueError):
            time_of(wrong)


def test_a_form_takes_what_is_typed() -> None:
    form = SampleForm({"day": "2026/11/27"})
    form.is_valid()
    assert form.cleaned_data["day"].isoformat() == "2026-11-27"
    assert "day" in SampleForm({"day": "27.11.2026"}).errors


def test_no_page_has_a_field_in_the_language_of_the_browser(headquarters: Client, cast: Cast) -> None:
    pages = {
        address: headquarters.get(address).text
        for address in (
            "/audit/",
            "/exports/",
            "/campaigns/governor",
            "/campaigns/new",
            "/imports/new",
            "/customers/bulk/new",
        )
    }
    for address, page in pages.items():
        natives = page.count('type="date"') + page.count('type="time"') + page.count('type="datetime-local"')
        assert natives == page.count('class="pick-native"'), address
    assert 'placeholder="yyyy-mm-dd"' in pages["/audit/"]
    assert 'placeholder="hh:mm"' in pages["/campaigns/governor"]
    found = headquarters.get("/audit/", {"from": "2026/1/5", "to": "20260106"}).text
    assert "Write days like" not in found
    assert "Write days like" in headquarters.get("/audit/", {"from": "5.1.2026"}).text
