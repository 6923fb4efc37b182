"""The guide (docs/guide.md) as pages of the console: sections with an address each, in the reader's language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_SHIPPED = Path(__file__).parent / "texts"  # in the wheel (pyproject: force-include)
_IN_REPOSITORY = Path(__file__).parents[4] / "docs"
_FILES = {"en": "guide.md", "zh-hans": "guide.zh-CN.md"}
_FIRST_HEADING = re.compile(r"^#\s+.*\n")
_ELSEWHERE = re.compile(r"https?://|[/#]")
# The end of a line within a Chinese paragraph: browsers would show a blank there.
_CHINESE_LINE = re.compile(r"(?<=[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef*])\n(?=\**[\u4e00-\u9fff\uff00-\uffef])")


@dataclass(frozen=True)
class Section:
    """A part of the guide. `anchor` names it in the address, `plain` is its text without marks."""

    anchor: str
    title: str
    html: SafeString
    plain: str


def sections() -> tuple[Section, ...]:
    """The guide in the current language; read once per process and language."""
    return _sections(_FILES.get(get_language() or "", _FILES["en"]))


def matching(text: str, limit: int) -> list[Section]:
    """Sections with this text in their title first, then in their body; case does not matter."""
    wanted = text.casefold()
    found = [one for one in sections() if wanted in one.title.casefold()]
    found += [one for one in sections() if one not in found and wanted in one.plain.casefold()]
    return found[:limit]


@cache
def _sections(name: str) -> tuple[Section, ...]:
    folder = _SHIPPED if (_SHIPPED / name).exists() else _IN_REPOSITORY
    text = _FIRST_HEADING.sub("", (folder / name).read_text("utf-8"), count=1)
    parts = re.split(r"^## +", text, flags=re.MULTILINE)[1:]
    return tuple(_section(number, part) for number, part in enumerate(parts, 1))


def _section(number: int, part: str) -> Section:
    title, _, body = part.partition("\n")
    html = _writer().render(_CHINESE_LINE.sub("", body))
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()
    return Section(f"part-{number}", title.strip(), mark_safe(html), plain)  # noqa: S308 - our own text, HTML in it is off


def _writer() -> MarkdownIt:
    """CommonMark and tables. HTML is off; links to other files of the repository become plain text."""
    writer = MarkdownIt("commonmark", {"html": False}).enable("table")
    writer.core.ruler.push("words_of_repository_links", _unlink)
    return writer


def _unlink(state: StateCore) -> None:
    for block in state.tokens:
        if block.children:
            block.children = _without_repository_links(block.children)


def _without_repository_links(tokens: list[Token]) -> list[Token]:
    kept, inside = [], False
    for token in tokens:
        if token.type == "link_open":
            inside = not _ELSEWHERE.match(str(token.attrGet("href")))
        if not (inside and token.type in {"link_open", "link_close"}):
            kept.append(token)
        if token.type == "link_close":
            inside = False
    return kept
