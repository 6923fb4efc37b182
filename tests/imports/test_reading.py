from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hetang.imports import csv_files, reading, sources
from hetang.imports.blocks import unique_headers
from hetang.imports.errors import Unreadable


def rows_of(path: Path, name: str = "f.csv") -> list[dict[str, str | None]]:
    look = reading.inspect(path, name)
    return [row for block in reading.read(path, look.form) for row in block.table.to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_detected(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "f.csv"
    lines = [["姓名", "金额", "备注"], ["张三", "12.50", "常客 喜欢咖啡"], ["李四", "8", "周末到店"]]
    path.write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    assert rows_of(path) == [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_ragged_rows_are_numbered_and_the_others_keep_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 16)
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n11,12\n13\n")
    blocks = list(reading.read(path, "csv"))
    assert [number for block in blocks for number in block.rows.tolist()] == [2, 4, 6, 7]
    assert [(one.row, one.cells) for block in blocks for one in block.ragged] == [(3, 1), (5, 3), (8, 1)]


def test_broken_bytes_mark_their_row_only(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    body = "\n".join(f"会员{number},上海市静安区" for number in range(200)).encode()
    path.write_bytes("名字,地址\n".encode() + body + b"\n\xff\xfe\x80bad,\xe4\xb8\nok,x\n")
    rows = rows_of(path)
    assert len(rows) == 202
    assert "�" in str(rows[200]["名字"])
    assert rows[201] == {"名字": "ok", "地址": "x"}


def test_quoted_line_breaks_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b'a,b\n"x\ny",""\n,z\n')
    assert rows_of(path) == [{"a": "x\ny", "b": None}, {"a": None, "b": "z"}]


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", "\ufeff".encode()])
def test_empty_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    with pytest.raises(Unreadable) as refused:
        reading.inspect(path, "f.csv")
    assert refused.value.code == "empty_file"


def test_an_unclosed_quotation_mark_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1 << 16)
    path = tmp_path / "f.csv"
    path.write_bytes(b'a,b\n1,"open\n' + b"x,y\n" * 100_000)
    with pytest.raises(Unreadable) as refused:
        list(reading.read(path, "csv", "utf-8", ","))
    assert refused.value.code == "row_too_long"


def test_headers_are_made_unique_and_named() -> None:
    assert unique_headers(["id", " id", "", "name"]) == (["id", "id (2)", "#3", "name"], ["id"])
    with pytest.raises(Unreadable):
        unique_headers([str(number) for number in range(501)])


def test_excel_cells_become_text(tmp_path: Path) -> None:
    path = tmp_path / "f.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["订单号", "时间", "金额", "公式", "会员"])
    sheet.append([10001, datetime.fromisoformat("2026-01-02 03:04:05"), 12.5, "=1+1", True])
    sheet.append([None, None, None, None, None])
    sheet.append(["A-7", datetime.fromisoformat("2026-01-03"), 3, None, False])
    book.save(path)
    look = reading.inspect(path, "f.xlsx")
    assert (look.form, look.sheets) == ("excel", ["Sheet"])
    (block,) = list(reading.read(path, "excel"))
    assert block.rows.tolist() == [2, 4]
    assert block.table.to_pylist() == [
        {"订单号": "10001", "时间": "2026-01-02 03:04:05", "金额": "12.5", "公式": None, "会员": "true"},
        {"订单号": "A-7", "时间": "2026-01-03", "金额": "3", "公式": None, "会员": "false"},
    ]


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (64 << 20))
    with pytest.raises(Unreadable) as refused:
        sources.inspect(path, "bomb.xlsx")
    assert refused.value.code == "unpacks_too_large"


@pytest.mark.parametrize("name", ["cut.xlsx", "cut.parquet", "notes.pdf"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes({"cut.xlsx": b"PK\x03\x04cut", "cut.parquet": b"PAR1xxxx", "notes.pdf": b"%PDF-1.7"}[name])
    with pytest.raises(Unreadable) as refused:
        sources.inspect(path, name)
    assert refused.value.code == "damaged_file"


def test_parquet_columns_become_text(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    moment, midnight = datetime.fromisoformat("2026-01-02 03:00"), datetime.fromisoformat("2026-01-02")
    table = pa.table(
        {
            "id": pa.array([17850.0, None, float("nan")]),
            "at": pa.array([moment, None, midnight], pa.timestamp("us")),
            "price": [2.55, 0.1, 3.0],
            "kind": pa.array(["a", "", "b"]).dictionary_encode(),
            "nested": [[1], [2], [3]],
        }
    )
    pq.write_table(table, path)
    assert rows_of(path, "f.parquet") == [
        {"id": "17850", "at": "2026-01-02 03:00:00.000000", "price": "2.55", "kind": "a", "nested": None},
        {"id": None, "at": None, "price": "0.1", "kind": None, "nested": None},
        {"id": None, "at": "2026-01-02 00:00:00.000000", "price": "3", "kind": "b", "nested": None},
    ]
