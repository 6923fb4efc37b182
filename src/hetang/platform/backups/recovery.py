"""Bringing the embedded server back to a moment: the newest base backup before it, and the archived log up to it."""

from __future__ import annotations

import re
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hetang.platform import postgres
from hetang.platform.backups import archive as archives
from hetang.platform.backups import dump, folder, restore
from hetang.platform.backups.dump import Watch
from hetang.platform.backups.folder import Backup, BackupRefused
from hetang.platform.backups.restore import Restored

_TOO_LATE = "recovery ended before configured recovery target was reached"
_LAST_AT = re.compile(r"last completed transaction was at log time ([\d-]+ [\d:.]+)\+00")


def restore_at(
    archive: Path, at: datetime | None, home: Path, secrets: dict[str, Any], watch: Watch = lambda _stage: None
) -> Restored:
    """Restore into the empty `home` what was committed until `at` (aware; None: as far as the log reaches).

    Raises BackupRefused when no base backup is that old, when the log does not reach that far, when keys are missing,
    or when the home is not empty.
    """
    base = base_before(archive, at)
    place = base.path.parent.parent
    restore.refuse_newer(base.manifest.migrations, base.manifest.hetang)
    restore.refuse_other_keys(base.manifest.keys, secrets)
    restore.refuse_full(home)
    restore.refuse_narrow(home, base.manifest.database_bytes)
    moment = at or datetime.now(UTC)
    done = Restored(base.name, moment.isoformat(), 0, 0, 0, base.manifest.bytes)
    with restore.stage(done, "checksums", watch):
        folder.verify(base)
    with restore.restoring(home, secrets):
        with restore.stage(done, "base", watch):
            _unpack(base, home / "postgres")
        with restore.stage(done, "log", watch):
            server = _recover(home, place, at)
        try:
            with restore.stage(done, "files", watch):
                _bring_files(place / "files", home, server.url, done)
            with restore.stage(done, "settling", watch):
                restore.bring_lists(archive, home)
                done.migrated = restore.settle(
                    home, server.url, base.manifest.taken_at if at is None else at.isoformat()
                )
        finally:
            server.stop()
    return done


def base_before(archive: Path, at: datetime | None) -> Backup:
    """The newest base backup that was finished before `at`, of any server whose archive this is."""
    roots = [archive, *sorted(archive.glob("*/"))] if archive.is_dir() else []
    bases = [backup for root in roots for backup in folder.complete(root / "base", folder.BASE)]
    bases.sort(key=lambda backup: backup.manifest.at)
    if not bases:
        raise BackupRefused(f"{archive} holds no base backup; is it the folder that HETANG_ARCHIVE named?")
    early = [backup for backup in bases if at is None or backup.manifest.at <= at]
    if not early:
        first = bases[0].manifest.at
        raise BackupRefused(
            f"the oldest base backup in {archive} is of {first:%Y-%m-%d %H:%M:%S %Z}; choose a later time"
        )
    return early[-1]


def _unpack(base: Backup, data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    for name, target in (("base.tar.gz", data), ("pg_wal.tar.gz", data / "pg_wal")):
        with tarfile.open(base.path / name) as packed:
            packed.extractall(target, filter="data")
    (data / "recovery.signal").touch(mode=0o600)


def _recover(home: Path, place: Path, at: datetime | None) -> postgres.Server:
    """Start the server on the unpacked base; ready means that it has read the log and opened for use."""
    try:
        return postgres.start(home, lambda _data: archives.recovery_settings(place, at), timeout_s=None)
    except postgres.EmbeddedServerError as problem:
        log = (home / "logs" / "postgres.log").read_text(errors="replace")
        if _TOO_LATE in log and at is not None:
            found = _LAST_AT.findall(log)
            until = f"its last change is of {found[-1]} UTC" if found else "it holds no change after the base backup"
            raise BackupRefused(
                f"nothing in the archive was committed at or after {at:%Y-%m-%d %H:%M:%S %Z} ({until});"
                " choose an earlier time, or --at latest for everything there is"
            ) from problem
        raise BackupRefused(f"the server could not be brought to that moment: {problem}") from problem


def _bring_files(mirror: Path, home: Path, url: str, done: Restored) -> None:
    """The files that the database names at that moment, and what lies beside them in folders."""
    import psycopg

    with psycopg.connect(url) as connection:
        named = set(dump.stored_paths(connection))
        counts = {table: dump.count(connection, table) for table in dump.tables(connection)}
    done.tables, done.rows = len(counts), sum(counts.values())
    for path in dump.kept_files(mirror):
        relative = path.relative_to(mirror)
        if relative.as_posix() in named or len(relative.parts) > 1:
            folder.copy(path, home / "files" / relative)
            done.files += 1
    done.files_missing = sum(not (home / "files" / path).is_file() for path in named)
