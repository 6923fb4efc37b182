"""Lists of the home that only grow and that a restore must not take back: erased people, heads of the audit's seals.

Each is a file of JSON lines in the home, synced with every line, and mirrored into the folders of the backups, so that
whoever restores there has it, however old the backup. Works below Django: the restore uses it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from hetang.platform import environment

log = logging.getLogger(__name__)

ERASED, SEALS = "erasures.jsonl", "audit-seals.jsonl"
NAMES = (ERASED, SEALS)


def path(name: str, home: Path | None = None) -> Path:
    """Where a list lies."""
    return (home or environment.home()) / name


def lines(name: str, home: Path | None = None) -> list[str]:
    """The lines of a list; the last one may be torn."""
    try:
        return path(name, home).read_text().splitlines()
    except FileNotFoundError:
        return []


def append(name: str, new: list[str]) -> None:
    """Durable in the home when it returns; a line that a crash tore is closed first. Mirrors follow as far as they can:
    one that cannot be written is made good by the next line."""
    descriptor = os.open(path(name), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "rb+") as stream:
        end = stream.seek(0, os.SEEK_END)
        torn = end > 0 and os.pread(stream.fileno(), 1, end - 1) != b"\n"
        stream.write((b"\n" if torn else b"") + "".join(f"{line}\n" for line in new).encode())
        stream.flush()
        os.fsync(stream.fileno())
    for folder in mirrors():
        try:
            bring(name, environment.home(), folder)
        except OSError as problem:
            log.warning("%s was not mirrored into %s: %s", name, folder, problem)


def mirrors() -> list[Path]:
    """The folders of the backups that are there: HETANG_BACKUPS (or `backups` of the home) and HETANG_ARCHIVE."""
    named = [os.environ.get("HETANG_BACKUPS", "") or environment.home() / "backups", os.environ.get("HETANG_ARCHIVE")]
    return [Path(one).expanduser() for one in named if one and Path(one).expanduser().is_dir()]


def bring(name: str, source: Path, target: Path) -> int:
    """Add the lines of `source`'s list that `target`'s does not have; returns how many."""
    known = dict.fromkeys(lines(name, target))
    new = [line for line in lines(name, source) if line not in known]
    if new:
        draft = target / f"{name}.draft"
        with draft.open("w") as stream:
            stream.writelines(f"{line}\n" for line in (*known, *new))
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(0o600)
        draft.replace(target / name)
    return len(new)
