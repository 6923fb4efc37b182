"""Files that were made to do harm: refused with a sentence that helps, nothing of them stays, memory is bounded."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hetang.imports import reading
from hetang.imports.blocks import Block
from hetang.imports.errors import Unreadable
from hetang.imports.models import Import
from hetang.platform.environment import home
from hetang.platform.models import StoredFile

pytestmark = pytest.mark.django_db
GIGABYTE = 1 << 30


def workbook(**parts: str) -> bytes:
    """A small workbook in which parts are replaced (`sheet`, `strings`)."""
    book, plain, made = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["code", "name"])  # type: ignore[union-attr]
    book.save(plain)
    paths = {"sheet": "xl/worksheets/sheet1.xml", "strings": "xl/sharedStrings.xml"}
    replaced = {paths[name]: text for name, text in parts.items()}
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.namelist():
            after.writestr(entry, replaced.get(entry, before.read(entry)))
    return made.getvalue()


def sheet(cells: str) -> str:
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<?xml version="1.0"?><worksheet xmlns="{namespace}"><sheetData>{cells}</sheetData></worksheet>'


def lying_zip() -> bytes:
    """A workbook whose sheet says that it unpacks to ten bytes and is 64 MB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (64 << 20))
    raw, true = made.getvalue(), struct.pack("<I", 64 << 20)
    return raw.replace(true, struct.pack("<I", 10))


def parquet(table: pa.Table) -> bytes:
    made = io.BytesIO()
    pq.write_table(table, made)
    return made.getvalue()


def not_text() -> bytes:
    """A Parquet file whose text column holds bytes that are no text."""
    offsets, data = pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe")
    return parquet(pa.table({"code": pa.Array.from_buffers(pa.string(), 1, [None, offsets, data])}))


LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + ']><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>&i;</t></si></sst>'
)
CORNERS = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
HOSTILE: dict[str, tuple[bytes, str]] = {
    "lying.xlsx": (lying_zip(), "cannot be read"),
    "bomb.xlsx": (workbook(sheet="0" * (64 << 20)), "unusually large"),
    "corner.xlsx": (workbook(sheet=sheet(CORNERS)), "cannot be read"),
    "laughs.xlsx": (workbook(strings=LAUGHS, sheet=sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>')), ""),
    "archive.zip": (b"PK\x03\x04" + b"\0" * 100, "cannot be read"),
    "blank.csv": (b"\n" * 100, "is empty"),
    "wide.csv": (b",".join(b"c%d" % n for n in range(1_000_000)) + b"\n", "more than 500 columns"),
    "cut.parquet": (parquet(pa.table({"code": ["1"]}))[:-20] + b"PAR1", "cannot be read"),
    "not-text.parquet": (not_text(), "cannot be read"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 64, "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence_and_nothing_stays(headquarters: Client, name: str) -> None:
    content, sentence = HOSTILE[name]
    headquarters.raise_request_exception = False
    before = _kept()
    answer = headquarters.post("/imports/new", {"target": "stores", "file": SimpleUploadedFile(name, content)})
    assert answer.status_code in ({422} if sentence else {302, 422}), answer.content.decode()[-3000:]
    assert sentence in answer.content.decode()
    if answer.status_code == 422:
        assert not Import.objects.exists()
        assert not StoredFile.objects.exists()
        assert _kept() == before
    else:
        owner = Import.objects.get()
        assert headquarters.get(f"/imports/{owner.public_id}/mapping").status_code == 200


def _kept() -> set[Path]:
    return {path for path in (home() / "files").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "content",
    [b"code\x00,na\x00me\n1\x00,2\n", parquet(pa.table({"co\x00de": ["1\x00"], "name": ["x"]}))],
    ids=["csv", "parquet"],
)
def test_nul_is_no_text_and_breaks_nothing(headquarters: Client, content: bytes) -> None:
    answer = headquarters.post("/imports/new", {"target": "stores", "file": SimpleUploadedFile("x\x00.csv", content)})
    assert answer.status_code == 302
    page = headquarters.get(f"/imports/{Import.objects.get().public_id}/mapping").content.decode()
    assert "\x00" not in page
    assert "�" in page


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\x.csv", "/etc/passwd", "a\u202evsc.exe", "x" * 400 + ".csv"]
)
def test_a_name_is_only_a_name(headquarters: Client, name: str) -> None:
    upload = SimpleUploadedFile("x.csv", b"code,name\n1,2\n")
    upload.name = name
    answer = headquarters.post("/imports/new", {"target": "stores", "file": upload})
    assert answer.status_code in {302, 422}
    for stored in StoredFile.objects.all():
        assert not set(stored.name) & set("/\\\u202e")
        assert (home() / "files" / stored.path).resolve().parent == (home() / "files").resolve()


class Endless(io.RawIOBase):
    """A header, then one row of a gigabyte; nobody holds more of it than a reader asks for."""

    def __init__(self) -> None:
        self.given = 0
        self.most = 0
        self._start: bytes = b"code,name\n"

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "somebody wants all of it"
        self.most = max(self.most, psutil.Process().memory_info().rss)
        start, self._start = self._start, b""
        piece = start or b"x" * min(size, GIGABYTE - self.given)
        self.given += len(piece)
        return piece

    def tell(self) -> int:
        return self.given


class Lazy:
    """A path that opens to such a file."""

    def __init__(self) -> None:
        self.streams: list[Endless] = []

    def open(self, _mode: str) -> Any:
        self.streams.append(Endless())
        return self.streams[-1]


def test_a_row_of_a_gigabyte_is_refused_in_little_memory() -> None:
    list(reading.read(_small(), "csv"))  # loads pyarrow
    before, lazy = psutil.Process().memory_info().rss, Lazy()
    with pytest.raises(Unreadable) as refused:
        list(reading.read(lazy, "csv", "utf-8", ","))  # type: ignore[arg-type]
    assert refused.value.code == "row_too_long"
    # The reader runs ahead by itself, more or less far as the machine allows: a fifth of the row at the most.
    assert max(one.most for one in lazy.streams) - before < 200 << 20
    assert sum(one.given for one in lazy.streams) < 200 << 20


def _small() -> Path:
    path = home() / "small.csv"
    path.write_bytes(b"a,b\n1,2\n")
    return path


def test_damage_anywhere_in_a_file_is_refused_or_read_and_never_anything_else(tmp_path: Path) -> None:
    table = pa.table({"code": [str(n) for n in range(300)], "name": ["店"] * 300, "price": [1.5] * 300})
    draw = random.Random(7)
    for name, whole in (("x.parquet", parquet(table)), ("x.xlsx", workbook()), ("x.csv", "店,b\n1,2\n".encode() * 50)):
        path = tmp_path / name
        for _ in range(400):
            path.write_bytes(_damaged(whole, draw))
            try:
                for block in _read(path, name):
                    block.table.to_pylist()
            except Unreadable:
                continue


def _read(path: Path, name: str) -> Iterator[Block]:
    yield from reading.read(path, reading.inspect(path, name).form)


def _damaged(whole: bytes, draw: random.Random) -> bytes:
    """Some bytes are others, or the end is gone."""
    raw = bytearray(whole)
    for _ in range(draw.randint(1, 4)):
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    return bytes(raw[: draw.randrange(len(raw))] if draw.random() < 0.2 else raw)
