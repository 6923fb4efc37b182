"""The two languages are complete: see `python -m tools.messages`."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import translation
from tools import messages


@pytest.fixture(scope="module")
def report() -> messages.Report:
    return messages.judge()


def test_every_message_has_its_chinese(report: messages.Report) -> None:
    assert report.missing == []


def test_nothing_is_fuzzy_and_no_placeholder_is_lost(report: messages.Report) -> None:
    assert (report.fuzzy, report.placeholders) == ([], [])


def test_two_rooms_do_not_say_one_thing_differently(report: messages.Report) -> None:
    assert report.conflicts == []


def test_chinese_is_set_with_chinese_marks(report: messages.Report) -> None:
    """Half-width commas, colons and brackets between Chinese characters look like a mistake to a reader."""
    assert report.half_width == []
    assert {"客户资料：属性、所属门店、归属顾问。以最新一次为准。", "{} 不是目录，请用 --home 另选"} <= {
        text
        for _, text in messages.spoken()  # texts in the code are looked at too
    }


def test_the_compiled_files_equal_the_readable_ones(report: messages.Report) -> None:
    assert report.stale == []


def test_templates_and_python_are_both_read() -> None:
    used = messages.used()
    assert used["", "Skip to content"].startswith("console/templates/console/base.html")
    assert ("dialog", "Cancel") in used
    assert used["", "%(n)d minute ago"].startswith("console/figures.py")


def test_the_sidebar_is_chinese_in_chinese(headquarters: Client) -> None:
    with translation.override("zh-hans"):
        headquarters.post("/language", {"language": "zh-hans", "next": "/"})
        page = headquarters.get("/customers/").content.decode()
    chrome = page.partition('<nav class="nav"')[2].partition("</nav>")[0]
    assert "系统状态" in chrome
    assert "System status" not in chrome
