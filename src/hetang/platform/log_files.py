"""The logs of the processes below HOME/logs: when one grows long its content moves aside, while it is written to.

The processes hold the file open to append, so the content is copied and the file emptied; lines that are written
between the two are lost, which is some microseconds in 20 MB.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

LIMIT = 20 << 20
KEPT = 5  # older parts: .log.1 is the newest


def of(home: Path, name: str) -> Path:
    """The log of one process."""
    return home / "logs" / f"{name}.log"


def rotate_all(home: Path, limit: int = LIMIT) -> None:
    """Put aside the content of every log that has grown beyond `limit` bytes."""
    for path in (home / "logs").glob("*.log"):
        if path.stat().st_size > limit:
            rotate(path)


def rotate(path: Path) -> None:
    """Move the content of one log aside. On a full disk the older parts and the content go: the product comes first."""
    parts = [path.with_suffix(f".log.{number}") for number in range(1, KEPT + 1)]
    draft = path.with_suffix(".log.new")
    try:
        shutil.copyfile(path, draft)
        draft.chmod(0o600)
    except OSError:
        for old in (draft, *parts):
            old.unlink(missing_ok=True)
    else:
        for newer, older in reversed(list(itertools.pairwise(parts))):
            if newer.exists():
                newer.replace(older)
        draft.replace(parts[0])
    with path.open("r+b") as stream:
        stream.truncate(0)
