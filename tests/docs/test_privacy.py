"""What the pages for deciders claim is what the program does: tables, names of tests, commands, settings, addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hetang import cli
from hetang.platform.registry import SETTINGS
from hetang.privacy.holdings import all_holdings
from hetang.privacy.limits import BOUNDS
from hetang.privacy.models import Rules
from hetang.privacy.own_page import MISSES
from hetang.privacy.retention import all_kinds

ROOT = Path(__file__).resolve().parents[2]
PRIVACY, THREATS = ROOT / "docs" / "PRIVACY.md", ROOT / "docs" / "THREAT_MODEL.md"
CHINESE = ROOT / "docs" / "PRIVACY.zh-CN.md"
BOTH = pytest.mark.parametrize("page", [PRIVACY, CHINESE], ids=lambda page: page.stem)


def table(page: Path, name: str) -> list[list[str]]:
    """The rows of the table between `<!-- name -->` and `<!-- end -->`, without its head."""
    part = page.read_text().split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.strip().splitlines()]
    return rows[2:]


@BOTH
def test_every_place_that_holds_somebody_is_told(page: Path) -> None:
    places = {row[0].strip("`"): row[1] for row in table(page, "holdings")}
    assert set(places) == {one.code for one in all_holdings()}
    for one in all_holdings():
        said = places[one.code] not in {"nothing", "无"}
        assert bool(one.kept) == said or places[one.code] in {"the same", "同上"}, one.code


@BOTH
def test_keeping_times_are_those_of_the_program(page: Path) -> None:
    timed = [one for one in all_kinds() if one.store is not None]
    assert [[f"`{one.code}`", str(one.days), str(one.least), str(one.most)] for one in timed] == table(page, "keeping")


def test_limits_are_those_of_the_program() -> None:
    text = PRIVACY.read_text()
    assert f"limited ({Rules().reveals_a_day} a day" in text
    assert "after five wrong ones the link is over" in text
    assert MISSES == 5
    assert set(BOUNDS) == {"reveals_a_day", "export_days", "answer_days", "link_hours"}


@pytest.mark.parametrize("page", [PRIVACY, CHINESE, THREATS], ids=lambda page: page.stem)
def test_what_the_pages_point_to_exists(page: Path) -> None:
    text = page.read_text()
    for place in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / place).exists(), place
    for place in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / place).exists(), place
    known = {setting.env for setting in SETTINGS.values()}
    assert set(re.findall(r"HETANG_[A-Z_]+", text)) <= known
    commands = cli._parser().format_help()
    for command in re.findall(r"`hetang ([a-z-]+)", text):
        assert command in commands, command


def test_every_defence_names_its_proof() -> None:
    """A row without a test says in its place what remains."""
    for line in THREATS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] not in {"threat", "---"}:
            assert "`tests/" in cells[3] or cells[2], cells[0]


def test_the_public_addresses_are_those_of_the_listener() -> None:
    from django.conf import settings

    open_to_all = {prefix.rstrip("/") for prefixes in settings.PUBLIC_PATHS.values() for prefix in prefixes}
    drawn = THREATS.read_text().split("public listener")[1].split("\n")[0]
    for prefix in open_to_all:
        assert prefix.removeprefix("/api/v1") in drawn, prefix
