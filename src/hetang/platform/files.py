"""Files below the home, sealed at rest in blocks, and unsealed only into a temporary file for as long as it is used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hetang.platform import clock
from hetang.platform.environment import home
from hetang.platform.models import StoredFile, User
from hetang.platform.sealing import current_mark, seal, unseal

BLOCK_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")
_PLACE = struct.Struct(">Q")  # sealed with the block, so blocks cannot be moved or dropped


class DamagedFile(Exception):
    """A stored file is shorter or other than what was stored."""


def store(name: str, pieces: Iterable[bytes], created_by: User | None = None) -> StoredFile:
    """Keep the bytes sealed below `home/files`. Durable when it returns. Whatever `pieces` raises leaves nothing."""
    digest = hashlib.sha256()
    relative, total = _write(pieces, digest)
    return StoredFile.objects.create(
        name=Path(name).name[:200],
        path=relative,
        bytes=total,
        sha256=digest.hexdigest(),
        created_at=clock.now(),
        created_by=created_by,
    )


def _write(pieces: Iterable[bytes], digest: Any) -> tuple[str, int]:
    """Seal the bytes into a new file; its name and their number. Durable when it returns."""
    relative, total = f"{secrets.token_hex(16)}.sealed", 0
    path = home() / "files" / relative
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for place, block in enumerate(_blocks(pieces)):
                digest.update(block)
                total += len(block)
                sealed = seal(_PLACE.pack(place) + block)
                stream.write(_LENGTH.pack(len(sealed)) + sealed)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        path.unlink()
        raise
    return relative, total


def read(stored: StoredFile) -> Iterator[bytes]:
    """The plain bytes in blocks of 1 MiB. Raises DamagedFile when something is missing."""
    total = 0
    with _open(stored) as stream:
        place = 0
        while head := stream.read(_LENGTH.size):
            plain = unseal(stream.read(_LENGTH.unpack(head)[0]))
            if _PLACE.unpack(plain[: _PLACE.size])[0] != place:
                raise DamagedFile(stored.path)
            place += 1
            total += len(plain) - _PLACE.size
            yield plain[_PLACE.size :]
    if total != stored.bytes:
        raise DamagedFile(stored.path)


@contextlib.contextmanager
def unsealed(stored: StoredFile, folder: Path) -> Iterator[Path]:
    """The plain file below `folder`, for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{secrets.token_hex(8)}.plain"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for block in read(stored):
                stream.write(block)
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove(stored: StoredFile) -> None:
    """Forget a file: its row first, then its bytes, so a crash between leaves bytes that nobody can reach."""
    path = home() / "files" / stored.path
    stored.delete()
    path.unlink(missing_ok=True)


def reseal(stored: StoredFile) -> bool:
    """Seal a file with the current key; whether it was not yet. Readers that have it open read on."""
    with _open(stored) as stream:
        head = stream.read(_LENGTH.size)
        if not head or stream.read(len(current_mark())) == current_mark():
            return False
    relative = _write(read(stored), hashlib.sha256())[0]
    before = stored.path
    if not StoredFile.objects.filter(pk=stored.pk, path=before).update(path=relative):
        (home() / "files" / relative).unlink()  # it was removed meanwhile
        return False
    (home() / "files" / before).unlink(missing_ok=True)
    return True


def _open(stored: StoredFile) -> BinaryIO:
    """The sealed bytes; looked up once more when they were sealed anew since the row was read."""
    try:
        return (home() / "files" / stored.path).open("rb")
    except FileNotFoundError:
        stored.refresh_from_db(fields=["path"])
        return (home() / "files" / stored.path).open("rb")


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= BLOCK_BYTES:
            yield bytes(pending[:BLOCK_BYTES])
            del pending[:BLOCK_BYTES]
    if pending:
        yield bytes(pending)
