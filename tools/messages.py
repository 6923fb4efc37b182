"""`python -m tools.messages`: are the console's two languages complete?

Reads every message of Python files and templates and every Chinese text that stands in the code itself, compiles each
`.po` to `.mo` (`tools.catalogs`), and names what has no Chinese, what is fuzzy, what two rooms translate
differently, what is set with half-width marks, and what nobody uses any more.
`--check` writes nothing and only judges. `--skeleton ROOM` prints the missing messages as `.po` entries.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

from tools.catalogs import compile_all

SOURCE = Path(__file__).resolve().parents[1] / "src" / "hetang"
LOCALES = SOURCE / "locale"
_CONTEXT_FIRST = ((1, "c"), 2)
KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), _CONTEXT_FIRST),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
# Between Chinese characters these read as mistakes; Chinese has marks of its own: ，；：？！（）
_HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w*)\}")
# Looked for first: most files have no message or no Chinese text, and need not be understood.
_CALLS = re.compile(rf"\b(?:{'|'.join(KEYWORDS)})\s*\(")
_MAY_BE_CHINESE = re.compile(r"[\u4e00-\u9fff]|\\[uUN]")

Key = tuple[str, str]  # context ("" for none), singular


@dataclass
class Report:
    """What is wrong; `missing` and the like are lines for people."""

    missing: list[str] = field(default_factory=list)
    fuzzy: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)
    half_width: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not (self.missing or self.fuzzy or self.conflicts or self.placeholders or self.half_width)


def used() -> dict[Key, str]:
    """Every message of the product and one place where it stands."""
    found: dict[Key, str] = {}
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix == ".py":
            text = path.read_text()
        elif path.suffix in {".html", ".txt"} and "templates" in path.parts:
            text = _templatized(path.read_text())
        else:
            continue
        for line, key in _messages(text):
            found.setdefault(key, f"{path.relative_to(SOURCE)}:{line}")
    return found


def _templatized(text: str) -> str:
    """A template as Python-like text; leading space would be indentation there."""
    return "\n".join(line.lstrip() for line in templatize(text).splitlines())


def _messages(text: str) -> Iterator[tuple[int, Key]]:
    if not _CALLS.search(text):
        return
    for line, message, _comments, context in extract("python", io.BytesIO(text.encode()), KEYWORDS):
        singular = message[0] if isinstance(message, tuple) else message
        if singular:
            yield line, (context or "", singular)


def spoken() -> Iterator[tuple[str, str]]:
    """Chinese texts in the code itself, such as facts' lines in a timeline, and where they stand; no docstrings."""
    for path in sorted(SOURCE.rglob("*.py")):
        source = path.read_text()
        for line, text in _literals(ast.parse(source)) if _MAY_BE_CHINESE.search(source) else ():
            bare = _PLACEHOLDER.sub("", text)
            if "(?:" in text:  # a pattern, which nobody reads
                continue
            if 2 * len(_CHINESE.findall(bare)) > len(re.findall("[A-Za-z]", bare)):
                yield f"{path.relative_to(SOURCE)}:{line}", text


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Strings, with `{}` for what an f-string fills in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | described:
            yield node.lineno, node.value


def catalogs() -> dict[Path, Catalog]:
    """The Chinese catalogue of each room."""
    paths = sorted(LOCALES.glob("*/zh_Hans/LC_MESSAGES/django.po"))
    return {path: _read(path) for path in paths}


def _read(path: Path) -> Catalog:
    with path.open("rb") as stream:
        return read_po(stream, locale="zh_Hans")


def judge() -> Report:
    """Compare what is used with what is translated."""
    report = Report()
    translated: dict[Key, tuple[str, Message]] = {}
    for path, catalog in catalogs().items():
        _judge_catalog(path.relative_to(LOCALES).parts[0], catalog, translated, report)
    report.half_width += [f"{place}: {text!r}" for place, text in spoken() if _wrongly_marked(text)]
    known_to_django = _of_django()
    needed = used()
    for key, place in sorted(needed.items(), key=lambda item: item[1]):
        if key not in translated and key not in known_to_django:
            report.missing.append(f"{place}: {_shown(key)}")
    report.unused = [f"{translated[key][0]}: {_shown(key)}" for key in translated if key not in needed]
    return report


def _judge_catalog(room: str, catalog: Catalog, translated: dict[Key, tuple[str, Message]], report: Report) -> None:
    for message in catalog:
        if not message.id:
            continue
        key = _key(message)
        if message.fuzzy:
            report.fuzzy.append(f"{room}: {_shown(key)}")
        if not _text(message):
            continue
        if _wrongly_marked(_text(message)):
            report.half_width.append(f"{room}: {_text(message)!r}")
        if _placeholders(key[1]) != _placeholders(_text(message)):
            report.placeholders.append(f"{room}: {_shown(key)} -> {_text(message)!r}")
        before = translated.setdefault(key, (room, message))
        if _text(before[1]) != _text(message):
            report.conflicts.append(f"{_shown(key)}: {before[0]} {_text(before[1])!r}, {room} {_text(message)!r}")


def _wrongly_marked(text: str) -> bool:
    return _HALF_WIDTH.search(_PLACEHOLDER.sub("字", text)) is not None


def _of_django() -> set[Key]:
    """Messages that Django itself speaks in Chinese."""
    import django

    root = Path(django.__file__).parent
    paths = [root / "conf/locale", root / "contrib/auth/locale"]
    return {
        _key(message)
        for path in paths
        for message in _read(path / "zh_Hans/LC_MESSAGES/django.po")
        if message.id and _text(message)
    }


def _key(message: Message) -> Key:
    singular = message.id[0] if isinstance(message.id, tuple | list) else message.id
    return message.context or "", singular


def _text(message: Message) -> str:
    return (message.string[0] if isinstance(message.string, tuple | list) else message.string) or ""


def _placeholders(text: str) -> set[str]:
    return {one or other for one, other in _PLACEHOLDER.findall(text)} - {"n", "count", "counter"}


def _shown(key: Key) -> str:
    return f"{key[1]!r}" + (f" [{key[0]}]" if key[0] else "")


def skeleton(prefix: str) -> str:
    """Entries for the missing messages whose place starts with `prefix`, ready to be translated."""
    have = {_key(message) for catalog in catalogs().values() for message in catalog if _text(message)}
    lines = []
    for (context, singular), place in sorted(used().items(), key=lambda item: item[1]):
        if (context, singular) in have | _of_django() or not place.startswith(prefix):
            continue
        lines.append(f"#: {place}")
        lines += [f'msgctxt "{context}"'] if context else []
        escaped = singular.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines += [f'msgid "{escaped}"', 'msgstr ""', ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--skeleton", metavar="PREFIX", help="print missing entries of places starting with PREFIX")
    options = parser.parse_args()
    if options.skeleton is not None:
        print(skeleton(options.skeleton))
        return 0
    if not options.check:
        compile_all()
    report = judge()
    for name, lines in vars(report).items():
        for line in lines:
            print(f"{name}: {line}")
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main())
