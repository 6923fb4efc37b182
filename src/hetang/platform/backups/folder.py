"""A folder of backups: what is in it, what counts as one, and how one comes to count.

    FOLDER/20261126T023000Z/manifest.json    what was saved, by which version, sealed under which keys
    FOLDER/20261126T023000Z/checksums        sha256sum format: `sha256sum -c checksums` checks the rest by hand
    FOLDER/20261126T023000Z/database/ files/

A backup is made beside as `<name>.partial` and renamed when everything in it has reached the disk: what has its final
name is whole. Names are UTC times, so they sort by age.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
NAME = "%Y%m%dT%H%M%SZ"
PARTIAL = ".partial"
LOGICAL, BASE = "logical", "base"
_BLOCK = 1 << 20


class BackupRefused(Exception):
    """It cannot be done as asked; the message says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says about itself. `tables` are rows at the moment of the snapshot; `keys` are fingerprints."""

    name: str
    kind: str
    hetang: str
    server: str
    taken_at: str
    seconds: float
    bytes: int
    checksums: str  # sha256 of the file of that name
    keys: dict[str, str]
    format: int = FORMAT
    epoch: int = 0
    database_bytes: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    migrations: list[str] = field(default_factory=list)
    files: int = 0
    files_gone: int = 0  # rows whose bytes were already removed when the files were read
    log_from: str = ""  # of a base backup: the first log file it needs

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.taken_at)

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


@dataclass(frozen=True)
class Backup:
    """A complete backup on disk."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.path.name


def complete(folder: Path, kind: str = LOGICAL) -> list[Backup]:
    """All complete backups of a folder, the oldest first. What cannot be read does not count."""
    found = []
    for path in sorted(folder.glob("*/manifest.json")) if folder.is_dir() else []:
        with contextlib.suppress(BackupRefused):
            backup = open_backup(path.parent)
            if backup.manifest.kind == kind:
                found.append(backup)
    return found


def newest(folder: Path, kind: str = LOGICAL) -> Backup | None:
    """The newest complete backup of a folder."""
    found = complete(folder, kind)
    return found[-1] if found else None


def open_backup(path: Path) -> Backup:
    """The backup at `path`. Raises BackupRefused when it is none, not finished, or of a later format."""
    if path.name.endswith(PARTIAL):
        raise BackupRefused(f"{path} was not finished; it is no backup")
    try:
        values = json.loads((path / "manifest.json").read_text())
        if int(values.get("format", 0)) > FORMAT:
            raise BackupRefused(f"{path} was written by a newer Hetang ({values.get('hetang')}); use that version")
        return Backup(path, Manifest(**values))
    except FileNotFoundError:
        raise BackupRefused(f"{path} holds no backup (it has no manifest.json)") from None
    except (ValueError, TypeError) as problem:
        raise BackupRefused(f"the manifest of {path} cannot be read: {problem}") from problem


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder alone for writing, and clear away what a run that died left. Raises BackupRefused if another
    run holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRefused(f"another backup into {folder} is running; wait for it") from None
        for left in folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def begin(folder: Path, now: datetime | None = None) -> Path:
    """An empty draft of a new backup. Call it inside `writing`."""
    name = (now or datetime.now(UTC)).strftime(NAME)
    if (folder / name).exists():
        raise BackupRefused(f"there is a backup {name} already; try again in a second")
    draft = folder / f"{name}{PARTIAL}"
    draft.mkdir(mode=0o700)
    return draft


def finish(draft: Path, values: dict[str, Any], known: Mapping[str, str] | None = None) -> Backup:
    """Write checksums and manifest, wait for the disk, and give the backup its name. `known` are sums that are at
    hand already (by path below the draft)."""
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    lines, total = [], 0
    for path in paths:
        relative = path.relative_to(draft).as_posix()
        lines.append(f"{(known or {}).get(relative) or checksum(path)}  {relative}\n")
        total += path.stat().st_size
    write_durably(draft / "checksums", "".join(lines))
    manifest = Manifest(
        name=draft.name.removesuffix(PARTIAL),
        bytes=total,
        checksums=checksum(draft / "checksums"),
        **values,
    )
    write_durably(draft / "manifest.json", json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n")
    for path in (*paths, *{path.parent for path in paths}, draft):
        sync(path)
    final = draft.with_name(manifest.name)
    draft.rename(final)
    sync(final.parent)
    return Backup(final, manifest)


def verify(backup: Backup) -> None:
    """Read everything and compare. Raises BackupRefused, naming the first file that is not what was saved."""
    listed = backup.path / "checksums"
    if not listed.exists() or checksum(listed) != backup.manifest.checksums:
        raise BackupRefused(f"the list of checksums of {backup.path} is missing or was changed")
    for relative, expected in sums(backup).items():
        path = backup.path / relative
        if not path.is_file():
            raise BackupRefused(f"{path} is missing from the backup")
        if checksum(path) != expected:
            raise BackupRefused(f"{path} is damaged: its checksum is not the one that was saved")


def sums(backup: Backup) -> dict[str, str]:
    """Checksums by path, as saved."""
    lines = (backup.path / "checksums").read_text().splitlines()
    return {relative: value for value, _, relative in (line.partition("  ") for line in lines)}


def remove(backup: Backup) -> None:
    """Delete a backup: first it loses its name, so that it never counts while half deleted."""
    gone = backup.path.with_name(f"{backup.name}{PARTIAL}")
    backup.path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def checksum(path: Path) -> str:
    """sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def copy(source: Path, target: Path) -> str:
    """Copy a file with its time of change, durably; returns its checksum."""
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = source.stat()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with source.open("rb") as stream, os.fdopen(descriptor, "wb") as out:
        while block := stream.read(_BLOCK):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
    return digest.hexdigest()


def write_durably(path: Path, text: str) -> None:
    """Write a small file that is there whole, and on the disk, or not at all."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
