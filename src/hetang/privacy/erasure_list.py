"""The list of erased people, kept where a restore of the database cannot take it back: a file in the home.

One JSON line per erasure, appended and synced before anything is removed: its id, when, whether she objects to being
known again, and keyed hashes of her identities. Whoever has the file but not the key of the home learns nothing of it.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from hetang.platform.environment import home
from hetang.privacy.seals import sign


@dataclass(frozen=True)
class Entry:
    """One erasure of the list."""

    id: str
    at: str  # ISO, UTC
    objects: bool
    hashes: tuple[tuple[str, str], ...]

    @property
    def when(self) -> datetime:
        return datetime.fromisoformat(self.at)


def path() -> Path:
    """Where the list lies. It belongs into every backup of the home."""
    return home() / "erasures.jsonl"


def append(entry: Entry) -> None:
    """Durable when it returns. A line that a crash tore is closed first."""
    line = json.dumps({**asdict(entry), "mac": _mac(entry)}, sort_keys=True)
    descriptor = os.open(path(), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "rb+") as stream:
        end = stream.seek(0, os.SEEK_END)
        torn = end > 0 and _last_byte(path()) != b"\n"
        stream.write((b"\n" if torn else b"") + line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def entries() -> dict[str, Entry]:
    """All entries whose signature fits, by id; the last line of an id counts."""
    found: dict[str, Entry] = {}
    try:
        lines = path().read_text().splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        entry = _read(line)
        if entry is not None:
            found[entry.id] = entry
    return found


def _read(line: str) -> Entry | None:
    try:
        values = json.loads(line)
        mac = values.pop("mac")
        entry = Entry(**values | {"hashes": tuple((kind, one) for kind, one in values["hashes"])})
    except (ValueError, KeyError, TypeError):
        return None
    return entry if hmac.compare_digest(mac, _mac(entry)) else None


def _mac(entry: Entry) -> str:
    return sign("erasure:" + json.dumps(asdict(entry), sort_keys=True))


def _last_byte(of: Path) -> bytes:
    with of.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)
