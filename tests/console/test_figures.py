"""Figures, colours, pages: exact values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from hetang.console import figures, theme
from hetang.console.templatetags import hetang
from hetang.platform import brand, clock
from hetang.platform.masking import mask_email, mask_name, mask_phone
from hetang.platform.models import Brand
from hetang.platform.sheets import safe


@pytest.fixture(autouse=True)
def _brand(db: None) -> Iterator[None]:
    Brand.objects.create(id=1, name="Lotus", currency="USD", currency_digits=2)
    brand.forget()
    with translation.override("en"):
        yield
    brand.forget()


@pytest.mark.parametrize(
    ("minor", "written"), [(459603958, "$4,596,039.58"), (-50, "−$0.50"), (0, "$0.00"), (None, "–")]
)
def test_money(minor: int | None, written: str) -> None:
    assert figures.money(minor) == written


@pytest.mark.parametrize(
    ("value", "written"), [(155848, "155,848"), (Decimal("2.50"), "2.5"), (-3, "−3"), (None, "–"), (10.0, "10")]
)
def test_number(value: object, written: str) -> None:
    assert figures.number(value) == written


def test_percent() -> None:
    assert [figures.percent(0.1234), figures.percent(-0.005), figures.percent(None)] == ["12.3%", "−0.5%", "–"]


@pytest.mark.parametrize(
    ("passed", "written"),
    [(2, "just now"), (61, "1 minute ago"), (7200, "2 hours ago"), (3 * 86400, "3 days ago")],
)
def test_ago(passed: int, written: str) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock.freeze(now)
    try:
        assert f">{written}<" in figures.ago(now - timedelta(seconds=passed))
    finally:
        clock.freeze(None)


def test_masks() -> None:
    assert [mask_phone("13812345678"), mask_phone("911"), mask_email("anna@x.org"), mask_name("Anna Smith")] == [
        "138****5678",
        "*11",
        "a***@x.org",
        "A*** S***",
    ]


@pytest.mark.parametrize("accent", ["#2f7d6b", "#ffffff", "#000000", "#ffd400", "#ff0000", "nonsense"])
def test_every_accent_is_readable(accent: str) -> None:
    css = theme.stylesheet(accent)
    fill = theme.parse(css.split("--accent-fill:")[1][:7])
    assert theme.contrast(fill, (255, 255, 255)) >= 4.5
    light, dark = css.split("--accent-ink:light-dark(")[1].split(")")[0].split(",")
    assert theme.contrast(theme.parse(light), (255, 255, 255)) >= 4.5
    assert theme.contrast(theme.parse(dark), (23, 28, 26)) >= 4.5


@pytest.mark.parametrize(("cell", "written"), [("=1+1", "'=1+1"), ("-5", "'-5"), (-5, -5), ("plain", "plain")])
def test_no_cell_runs(cell: object, written: object) -> None:
    assert safe(cell) == written


def test_a_sentence_is_escaped_and_its_dates_and_amounts_stay_whole() -> None:
    said = hetang.unbroken("<b> 2026-12-11 到期，2026-12-11 08:00 提醒；编号 12026-1-2")
    assert hetang.unbroken("频次（−$29,197.72）。") == '频次（<span class="nowrap">−$29,197.72</span>）。'
    assert said == (
        '&lt;b&gt; <span class="nowrap">2026-12-11</span> 到期，<span class="nowrap">2026-12-11 08:00</span> 提醒；'
        "编号 12026-1-2"
    )
