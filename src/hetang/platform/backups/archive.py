"""The archive from which the embedded server can be brought back to any moment: base backups, log and files.

    ARCHIVE/<system>/base/20261126T023000Z/manifest.json checksums base.tar.gz pg_wal.tar.gz backup_manifest
    ARCHIVE/<system>/wal/0000000100000000000000A1.gz
    ARCHIVE/<system>/files/…

`<system>` is the number that a server gets when it is made, so that two servers never share a log. Switched on by
`HETANG_ARCHIVE`; an external server has its provider's own.
"""

from __future__ import annotations

import json
import os
import shlex
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hetang import __version__
from hetang.platform import lasting
from hetang.platform.backups import dump, folder, keys, programs, wal_copy
from hetang.platform.backups.dump import Watch
from hetang.platform.backups.folder import Backup
from hetang.platform.postgres import EmbeddedServerError

SEGMENT_BYTES = 16 << 20
SWITCH_S = 60  # the log is archived at least so often while somebody writes: what a lost disk can cost
_NAME_DIGITS = 24


def configured() -> Path | None:
    """The archive's folder, if the environment names one."""
    named = os.environ.get("HETANG_ARCHIVE", "")
    return Path(named).expanduser().resolve() if named else None


def of_server(archive: Path, data: Path) -> Path:
    """The part of the archive that belongs to the server with this data directory."""
    return archive / system_of(data)


def system_of(data: Path) -> str:
    """The system identifier of a server, from its control file."""
    with (data / "global" / "pg_control").open("rb") as stream:
        (number,) = struct.unpack("=Q", stream.read(8))
    return str(number)


def server_settings(data: Path) -> dict[str, str]:
    """Settings that make the embedded server archive its log; none while no archive is configured.

    Raises EmbeddedServerError when the folder cannot be used.
    """
    archive = configured()
    if archive is None:
        return {}
    place = of_server(archive, data)
    try:
        for part in (place / "wal", place / "base", place / "files"):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise EmbeddedServerError(f"HETANG_ARCHIVE={archive} cannot be used: {problem}") from problem
    return {
        "archive_mode": "on",
        "archive_timeout": str(SWITCH_S),
        "archive_command": _command("put", "%p", f"{_escaped(place / 'wal')}/%f.gz"),
    }


def recovery_settings(place: Path, at: datetime | None) -> dict[str, str]:
    """Settings by which a server reads the log up to `at` (None: to its end) and then opens for use."""
    settings = {
        "archive_mode": "off",
        "restore_command": _command("get", f"{_escaped(place / 'wal')}/%f.gz", "%p"),
        "recovery_target_action": "promote",
        "hot_standby": "off",  # with it the server would call itself ready in the middle of the log
    }
    if at is not None:
        settings["recovery_target_time"] = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return settings


def _command(verb: str, source: str, target: str) -> str:
    python, script = _escaped(Path(sys.executable)), _escaped(Path(wal_copy.__file__))
    return " ".join([shlex.quote(python), "-I", "-S", *map(shlex.quote, (script, verb, source, target))])


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def take_base(home: Path, url: str, archive: Path, watch: Watch = lambda _stage: None) -> Backup:
    """A base backup of the running embedded server, from which every later moment can be reached."""
    place = of_server(archive, home / "postgres")
    with folder.writing(place / "base"):
        seconds = programs.stopwatch()
        draft = folder.begin(place / "base")
        programs.run(
            "pg_basebackup",
            *("--pgdata", draft, "--format=tar", "--compress=client-gzip:1", "--wal-method=stream"),
            *("--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password"),
            env=programs.environment_of(url),
            watch=lambda: watch("database"),
        )
        watch("files")
        mirror_files(home, archive)
        for name in lasting.NAMES:
            lasting.bring(name, home, archive)
        values: dict[str, Any] = {
            "kind": folder.BASE,
            "hetang": __version__,
            "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": seconds(),
            "keys": keys.fingerprints(keys.of_home(home)),
            "log_from": _first_log_file(draft),
            **_short_census(url),
        }
        return folder.finish(draft, values)


def _short_census(url: str) -> dict[str, Any]:
    import psycopg

    with psycopg.connect(url) as connection:
        applied = connection.execute("select app || '.' || name from django_migrations order by 1").fetchall()
        epoch = connection.execute("select epoch from facts_epoch").fetchone()
        version = connection.execute("select current_setting('server_version')").fetchone()
        size = connection.execute("select pg_database_size(current_database())").fetchone()
    return {
        "database_bytes": size[0] if size else 0,
        "migrations": [row[0] for row in applied],
        "epoch": epoch[0] if epoch else 0,
        "server": version[0] if version else "",
    }


def _first_log_file(draft: Path) -> str:
    """The name of the log file at which the recovery of a base backup starts."""
    first = json.loads((draft / "backup_manifest").read_text())["WAL-Ranges"][0]
    high, _, low = first["Start-LSN"].partition("/")
    segment = (int(high, 16) << 32 | int(low, 16)) // SEGMENT_BYTES
    per_file = (1 << 32) // SEGMENT_BYTES
    return f"{int(first['Timeline']):08X}{segment // per_file:08X}{segment % per_file:08X}"


def mirror_files(home: Path, archive: Path) -> int:
    """Bring new files of the home into the archive, and note when files went away. Returns how many were new."""
    files, place = home / "files", of_server(archive, home / "postgres")
    mirror, new = place / "files", 0
    there = set()
    for path in dump.kept_files(files):
        relative = path.relative_to(files)
        there.add(relative.as_posix())
        if not _unchanged(path, mirror / relative):
            draft = mirror / relative.with_name(f"{relative.name}.new")
            with suppress(FileNotFoundError):  # removed since it was listed
                folder.copy(path, draft)
                draft.replace(mirror / relative)
                new += 1
    _note_gone(place, there)
    return new


def _unchanged(path: Path, copied: Path) -> bool:
    try:
        mine, theirs = path.stat(), copied.stat()
    except FileNotFoundError:
        return False
    return (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _note_gone(place: Path, there: set[str]) -> None:
    """Files that the home has no longer are needed for moments before now only: note since when."""
    noted = _gone(place)
    mirrored = {path.relative_to(place / "files").as_posix() for path in dump.kept_files(place / "files")}
    now = datetime.now(UTC).isoformat()
    current = {name: noted.get(name, now) for name in mirrored - there}
    if current != noted:
        folder.write_durably(place / "gone.json", json.dumps(current))


def _gone(place: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((place / "gone.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def prune(archive: Path, data: Path, keep_bases: int) -> list[str]:
    """Remove base backups beyond the newest `keep_bases`, and the log and files that only they needed. Returns the
    names of what went. Log is kept from the oldest base backup that stays."""
    place = of_server(archive, data)
    with folder.writing(place / "base"):
        bases = folder.complete(place / "base", folder.BASE)
        if not bases:
            return []
        old, stay = bases[: -max(1, keep_bases)], bases[-max(1, keep_bases) :]
        for backup in old:
            folder.remove(backup)
        gone = [backup.name for backup in old]
        gone += _prune_log(place / "wal", stay[0].manifest.log_from)
        _prune_files(place, stay[0].manifest.at)
    return gone


def _prune_log(log: Path, first_needed: str) -> list[str]:
    """Older log files, compared without their timeline as PostgreSQL's own tool does."""
    removed = []
    for path in log_files(log):
        if path.name[8:_NAME_DIGITS] < first_needed[8:]:
            path.unlink()
            removed.append(path.name)
    return removed


def log_files(log: Path) -> Iterator[Path]:
    """Archived log files in order (not the notes of timelines)."""
    for path in sorted(log.glob("*.gz")):
        name = path.name[:_NAME_DIGITS]
        if len(name) == _NAME_DIGITS and all(digit in "0123456789ABCDEF" for digit in name):
            yield path


def _prune_files(place: Path, oldest: datetime) -> None:
    noted = _gone(place)
    for name, since in list(noted.items()):
        if datetime.fromisoformat(since) < oldest:
            (place / "files" / name).unlink(missing_ok=True)
            del noted[name]
    folder.write_durably(place / "gone.json", json.dumps(noted))
