"""What PostgreSQL runs to archive a log file and to fetch it back: `wal_copy.py put|get SOURCE TARGET`.

Started for every 16 MB of log without site-packages (20 ms), so it imports the standard library only. `put` returns
success only when the bytes have reached the disk under their final name, and never replaces another file: two servers
on one archive would otherwise destroy each other's log. Archived files are gzip: a log file that was switched early is
mostly zeros.
"""

import gzip
import os
import shutil
import sys
from pathlib import Path

DAMAGED = 200  # above 125: PostgreSQL stops the recovery instead of taking the archive for ended


def put(source: Path, target: Path) -> int:
    """Copy a log file into the archive. 0 also when it is there already with the same content."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    try:
        _compress(source, draft)
        try:
            os.link(draft, target)  # fails where a rename would replace
        except FileExistsError:
            if _same(source, target):
                return 0
            print(f"{target} exists with other content: does another server use this archive?", file=sys.stderr)
            return 1
        _sync(target.parent)
    finally:
        draft.unlink(missing_ok=True)
    return 0


def get(source: Path, target: Path) -> int:
    """Bring a log file back. 1 when the archive does not have it."""
    draft = target.with_name(f"{target.name}.new")
    try:
        with gzip.open(source) as stream, draft.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
    except FileNotFoundError:
        return 1
    except (OSError, EOFError) as problem:
        print(f"{source} is damaged: {problem}", file=sys.stderr)
        return DAMAGED
    draft.replace(target)
    return 0


def _compress(source: Path, draft: Path) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with source.open("rb") as stream, gzip.GzipFile("", "wb", 1, raw, mtime=0) as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        raw.flush()
        os.fsync(raw.fileno())


def _same(source: Path, target: Path) -> bool:
    with source.open("rb") as ours, gzip.open(target) as theirs:
        while block := ours.read(1 << 20):
            if theirs.read(len(block)) != block:
                return False
        return theirs.read(1) == b""


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> int:
    verb, source, target = arguments
    return {"put": put, "get": get}[verb](Path(source), Path(target))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
