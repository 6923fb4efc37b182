"""Where an import's file comes from: an upload sealed below the home, or a path that the operator allowed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hetang.imports import reading
from hetang.imports.blocks import Inspection
from hetang.imports.errors import ImportRefused, NotReady, Unreadable
from hetang.imports.models import Import
from hetang.platform import children, files
from hetang.platform.environment import home

_INSPECT_SECONDS = 60
_INSPECT_BYTES = 4 << 30


def folders() -> list[Path]:
    """Folders from which files may be imported by path: `home/imports` and those of HETANG_IMPORT_PATHS (`:`)."""
    named = [Path(part) for part in os.environ.get("HETANG_IMPORT_PATHS", "").split(os.pathsep) if part]
    return [folder.resolve() for folder in (home() / "imports", *named)]


def allowed(text: str) -> Path:
    """The file that a server path names. Raises ImportRefused if it lies elsewhere, is absent or no plain file."""
    path = Path(text).resolve()
    if not any(path.is_relative_to(folder) for folder in folders()):
        raise ImportRefused("path_not_allowed", {"folders": ", ".join(map(str, folders()))})
    if not path.is_file():
        raise ImportRefused("no_such_file", {"path": text[:200]})
    return path


def offered() -> list[Path]:
    """Files that could be imported by path, newest first, at most 200."""
    found = [path for folder in folders() if folder.is_dir() for path in folder.rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: -path.stat().st_mtime)[:200]


def fingerprint(path: Path) -> str:
    """Changes when the file does: size and time of change, without reading gigabytes."""
    state = path.stat()
    return hashlib.sha256(f"{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()


@contextlib.contextmanager
def readable(owner: Import, scratch: Path) -> Iterator[Path]:
    """The import's file as a plain path. Raises NotReady when a server file changed since it was chosen."""
    if owner.stored_file is not None:
        with files.unsealed(owner.stored_file, scratch) as path:
            yield path
        return
    if not owner.server_path:
        raise NotReady("file_gone")
    path = allowed(owner.server_path)
    if fingerprint(path) != owner.fingerprint:
        raise NotReady("file_changed")
    yield path


def inspect(path: Path, name: str, encoding: str = "", delimiter: str = "", sheet: str = "") -> Inspection:
    """A first look at a file. Raises Unreadable.

    Excel and Parquet are opened in a process of its own with limits on memory and time; of a CSV only the first
    256 KB are read, here.
    """
    if reading.form_of(path, name) == "csv":
        return reading.inspect(path, name, encoding, delimiter, sheet)
    command = children.python("hetang.imports.reading", str(path), name, encoding, delimiter, sheet)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_INSPECT_SECONDS,
            preexec_fn=_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable("damaged_file") from None
    if done.returncode != 0:
        raise Unreadable("damaged_file")
    answer = msgspec.json.decode(done.stdout)
    if "refused" in answer:
        raise Unreadable(answer["refused"], answer["parameters"])
    return msgspec.convert(answer["inspection"], Inspection)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_INSPECT_BYTES, _INSPECT_BYTES))
