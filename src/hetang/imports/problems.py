"""The log of rows that were not taken: one file of JSON lines per piece of work, written anew when a piece is repeated.

Values in it are masked already. The log outlives the run, so that it can be downloaded later.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

import msgspec

from hetang.imports.columns import Problem
from hetang.platform.environment import home

_ENCODE = msgspec.json.Encoder()
_DECODE = msgspec.json.Decoder(Problem)


def folder(import_id: UUID, stage: str) -> Path:
    """Where the log of a stage (`check` or `run`) lies."""
    return home() / "files" / "imports" / str(import_id) / stage


def clear(import_id: UUID, stage: str) -> None:
    """Forget the log of a stage."""
    shutil.rmtree(folder(import_id, stage), ignore_errors=True)


def write(import_id: UUID, stage: str, piece: str, problems: Iterable[Problem]) -> None:
    """Set the problems of one piece, replacing what an earlier attempt wrote."""
    place = folder(import_id, stage)
    lines = b"".join(_ENCODE.encode(problem) + b"\n" for problem in problems)
    if not lines:
        return
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place / f"{piece}.new"
    draft.write_bytes(lines)
    draft.replace(place / f"{piece}.jsonl")


def read(import_id: UUID, stage: str) -> Iterator[Problem]:
    """All problems of a stage, piece by piece."""
    for path in sorted(folder(import_id, stage).glob("*.jsonl")):
        with path.open("rb") as stream:
            for line in stream:
                yield _DECODE.decode(line)
