"""`python -m tools.catalogs`: compile the Chinese of every room, `.po` to `.mo`, with nothing but Python.

The compiled files are not kept in git: they would conflict at every merge. A wheel and an editable install make them
(`hatch_build.py`), and so do `make` and the tests. `tests/console/test_messages.py` compares with Babel's compiler.
"""

from __future__ import annotations

import ast
import os
import struct
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
_MAGIC = 0x950412DE


def catalogs() -> list[Path]:
    """The readable catalogue of each room."""
    return sorted((SOURCE / "hetang" / "locale").glob("*/*/LC_MESSAGES/django.po"))


def compile_all() -> None:
    """Write the `.mo` files that are missing or say something else than their `.po`, beside these."""
    for path in catalogs():
        target, content = path.with_suffix(".mo"), compiled(path)
        if not target.exists() or target.read_bytes() != content:
            new = target.with_suffix(f".{os.getpid()}")
            new.write_bytes(content)
            new.replace(target)  # at once, for whoever reads or compiles beside us


def compiled(path: Path) -> bytes:
    """The `.mo` of a `.po` in UTF-8. Raises ValueError with the line of what cannot be understood."""
    messages = sorted((key.encode(), text.encode()) for key, text in _messages(path))
    texts, table = b"", []
    for column in (0, 1):
        for message in messages:
            table.append((len(message[column]), 28 + 16 * len(messages) + len(texts)))
            texts += message[column] + b"\0"
    head = struct.pack("<7I", _MAGIC, 0, len(messages), 28, 28 + 8 * len(messages), 0, 0)
    return head + b"".join(struct.pack("<2I", *place) for place in table) + texts


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    """Keys as gettext looks them up, with what is said: translated and not fuzzy."""
    for entry, fuzzy in _entries(path):
        forms = [entry[name] for name in sorted(entry) if name.startswith("msgstr")]
        if not any(forms) or (fuzzy and entry["msgid"]):
            continue
        context = entry["msgctxt"] + "\4" if "msgctxt" in entry else ""
        plural = "\0" + entry["msgid_plural"] if "msgid_plural" in entry else ""
        yield context + entry["msgid"] + plural, "\0".join(forms)


def _entries(path: Path) -> Iterator[tuple[dict[str, str], bool]]:
    entry: dict[str, str] = {}
    fuzzy, field = False, ""
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), 'msgid ""'], start=1):
        word, _, rest = line.strip().partition(" ")
        if word in {"msgctxt", "msgid"} and field.startswith("msgstr"):
            yield entry, fuzzy
            entry, fuzzy = {}, False
        if word.startswith("#,"):
            if field.startswith("msgstr"):
                yield entry, fuzzy
                entry, field = {}, ""
            fuzzy = "fuzzy" in rest
        elif word.startswith("msg"):
            field = word
            entry[field] = _unquoted(rest, path, number)
        elif word.startswith('"'):
            entry[field] += _unquoted(line, path, number)


def _unquoted(text: str, path: Path, number: int) -> str:
    try:
        value = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        value = None
    if not isinstance(value, str):
        raise ValueError(f"{path}:{number}: not a quoted text: {text}")
    return value


if __name__ == "__main__":
    compile_all()
