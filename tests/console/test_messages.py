"""The two languages are complete: see `python -m tools.messages`."""

from __future__ import annotations

import io
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.test import Client
from django.utils import translation
from tools import catalogs, messages

from hetang.console.operations import held_words
from hetang.facts import kinds


@pytest.fixture(scope="module")
def report() -> messages.Report:
    return messages.judge()


def test_every_message_has_its_chinese(report: messages.Report) -> None:
    assert report.missing == []


def test_no_message_is_left_over(report: messages.Report) -> None:
    assert report.unused == []


def test_every_kind_of_record_and_its_fields_have_words_for_operators() -> None:
    """For held records: `console.operations.held_words`."""
    assert set(kinds.KINDS) - set(held_words.KINDS) == set()
    fields = {name for kind in kinds.KINDS.values() if kind.external for name in kind.example}
    assert fields - set(held_words.FIELDS) == set()


def test_nothing_is_fuzzy_and_no_placeholder_is_lost(report: messages.Report) -> None:
    assert (report.fuzzy, report.placeholders) == ([], [])


def test_two_rooms_do_not_say_one_thing_differently(report: messages.Report) -> None:
    assert report.conflicts == []


def test_chinese_is_set_with_chinese_marks(report: messages.Report) -> None:
    """Half-width commas, colons and brackets between Chinese characters look like a mistake to a reader."""
    assert report.half_width == []
    assert {"客户要求免打扰（永久或至某时），或解除。", "{} 不是目录，请用 --home 另选"} <= {
        text
        for _, text in messages.spoken()  # texts in the code are looked at too
    }


@pytest.mark.parametrize("path", catalogs.catalogs(), ids=lambda path: path.parts[-4])
def test_our_compiler_says_what_babels_says(path: Path) -> None:
    babels = io.BytesIO()
    with path.open("rb") as stream:
        write_mo(babels, read_po(stream))
    babels.seek(0)
    said, expected = GNUTranslations(io.BytesIO(catalogs.compiled(path))), GNUTranslations(babels)
    header = said._catalog.pop(""), expected._catalog.pop("")  # type: ignore[attr-defined]
    assert all("charset=utf-8" in one.lower() and "nplurals=1" in one for one in header)
    assert said._catalog == expected._catalog  # type: ignore[attr-defined]
    assert path.with_suffix(".mo").read_bytes() == catalogs.compiled(path)


def test_a_catalogue_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    path = tmp_path / "django.po"
    path.write_text(
        '#, fuzzy\nmsgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        '#, fuzzy\nmsgid "a"\nmsgstr "guessed"\nmsgctxt "c"\nmsgid "b"\n"c"\nmsgstr ""\n"\\"乙\\"\\n"\n#~ msgid "d"\n'
    )
    said = GNUTranslations(io.BytesIO(catalogs.compiled(path)))
    assert (said.gettext("a"), said.pgettext("c", "bc")) == ("a", '"乙"\n')
    path.write_text('msgid "a"\nmsgstr "b\n')
    with pytest.raises(ValueError, match=r"django\.po:2: not a quoted text"):
        catalogs.compiled(path)


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
