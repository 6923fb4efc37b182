"""The list of erased people, kept where a restore of the database cannot take it back (`platform.lasting`).

One JSON line per erasure, appended and synced before anything is removed: its id, when, whether she objects to being
known again, and keyed hashes of her identities. Whoever has the file but not the key of the home learns nothing of it.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from hetang.platform import lasting
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


def append(entry: Entry) -> None:
    """Durable when it returns."""
    lasting.append(lasting.ERASED, [json.dumps({**asdict(entry), "mac": _mac(entry)}, sort_keys=True)])


def entries() -> dict[str, Entry]:
    """All entries whose signature fits, by id; the last line of an id counts."""
    read = (_read(line) for line in lasting.lines(lasting.ERASED))
    return {entry.id: entry for entry in read if entry is not None}


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
