"""Days and times as people type them, whatever the language of their browser."""

from __future__ import annotations

import re
import unicodedata
from datetime import time

_DAY = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?|(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(r"(\d{1,2}):?(\d{2})")


def iso_day(text: str) -> str:
    """`2026-11-27` of a day written 2026-11-27, 2026/11/27, 2026.11.27, 2026年11月27日 or 20261127.

    What is none stays as it is, for whoever reads it to refuse."""
    typed = unicodedata.normalize("NFKC", text).strip()
    found = _DAY.fullmatch(typed)
    if found is None:
        return typed
    year, month, day = (part for part in found.groups() if part is not None)
    return f"{year}-{int(month):02d}-{int(day):02d}"


def iso_moment(text: str) -> str:
    """`2026-11-27 20:00` of a day and a time with a blank or a T between them, the day as in `iso_day`."""
    typed = unicodedata.normalize("NFKC", text).strip()
    day, _blank, clock = typed.replace("T", " ").rpartition(" ")
    return f"{iso_day(day)} {clock}" if day else typed


def time_of(text: str) -> time:
    """The time of day of `22:00`, `8:30` or `2200`. Raises ValueError for anything else."""
    found = _TIME.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if found is None:
        raise ValueError(text)
    return time(int(found[1]), int(found[2]))
