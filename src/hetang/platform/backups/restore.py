"""Bringing a backup back: into an empty home with the embedded server, or into an empty external database.

A home that is being restored carries a marker until everything is there and compared; no process starts on it before.
A restore that died leaves the marker, and the next try clears away what it had made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import hetang
from hetang.platform import children, lasting, postgres
from hetang.platform.backups import dump, folder, keys, programs
from hetang.platform.backups.dump import Watch
from hetang.platform.backups.folder import Backup, BackupRefused

Finish = Callable[[Path, str, str], list[str]]  # (home, url of its database, taken at) -> migrations applied
RESERVE_BYTES = 256 << 20
MARKER = "restore.incomplete"
MAY_BE_THERE = frozenset({"secrets.json", MARKER, "lost+found", "backups", *lasting.NAMES})
MADE_BY_US = ("postgres", "postgres.new", "files", "logs", "sets", "static", "clickhouse")


@dataclass
class Restored:
    """What a restore did; `seconds` by stage."""

    backup: str
    taken_at: str
    rows: int
    tables: int
    files: int
    bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    files_missing: int = 0
    migrated: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def restore(
    backup: Backup,
    home: Path,
    secrets: dict[str, Any],
    *,
    url: str = "",
    watch: Watch = lambda _stage: None,
    finish: Finish | None = None,
) -> Restored:
    """Restore `backup` into `home`, its database into the embedded server or the empty database at `url`.

    With `finish` it is a copy to try something on: the files stay away, and `finish` takes the place of `settle`.

    Raises BackupRefused when the home or the database is not empty, when keys are missing, when the backup is damaged
    or comes from a newer version, or when what was restored is not what was saved.
    """
    manifest = backup.manifest
    refuse_newer(manifest.migrations, manifest.hetang)
    refuse_other_keys(manifest.keys, secrets)
    refuse_full(home)
    refuse_narrow(home, manifest.bytes + (0 if url else manifest.database_bytes))
    done = Restored(backup.name, manifest.taken_at, manifest.rows, len(manifest.tables), manifest.files, manifest.bytes)
    with stage(done, "checksums", watch):
        folder.verify(backup)
    with restoring(home, secrets), database(home, url) as target:
        with stage(done, "database", watch):
            _load(backup, target, atomically=bool(url))
        with stage(done, "counts", watch):
            _compare(backup, target)
        if finish is None:
            with stage(done, "files", watch):
                done.files_missing = _bring_files(backup, home, target)
        with stage(done, "settling", watch):
            bring_lists(backup.path.parent, home)
            done.migrated = (finish or settle)(home, target, manifest.taken_at)
    return done


def refuse_full(home: Path) -> None:
    """Raises BackupRefused unless the home is empty (keys and an unfinished restore apart)."""
    if not home.exists() or (home / MARKER).exists():
        return
    found = sorted(path.name for path in home.iterdir() if path.name not in MAY_BE_THERE)
    if found:
        raise BackupRefused(
            f"{home} is not empty (it holds {', '.join(found[:3])}); restore into a new directory with --home"
        )


def refuse_narrow(home: Path, needed: int) -> None:
    """Raises BackupRefused when the disk of the home has not `needed` bytes and a reserve."""
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed + RESERVE_BYTES:
        raise BackupRefused(
            f"{place} has {free >> 20} MB free, and the restore needs about {(needed + RESERVE_BYTES) >> 20} MB;"
            " free some, or choose a --home on another disk"
        )


def refuse_newer(migrations: list[str], version: str) -> None:
    """Raises BackupRefused when the backup knows migrations that this version does not."""
    known = known_migrations()
    newer = [
        name for name in migrations if name.partition(".")[0] in known and name not in known[name.partition(".")[0]]
    ]
    if newer:
        raise BackupRefused(
            f"the backup was taken by Hetang {version}, which is newer ({newer[0]} is not known here);"
            " install that version or a later one and restore again"
        )


def refuse_other_keys(needed: dict[str, str], secrets: dict[str, Any]) -> None:
    """Raises BackupRefused when the secrets do not hold every key of the backup."""
    lacking = keys.missing(needed, secrets)
    if lacking:
        raise BackupRefused(
            f"these keys are not those of the backup ({', '.join(lacking)} differ or are missing);"
            " name the right file with --keys, or personal data could never be read again"
        )


def known_migrations() -> dict[str, set[str]]:
    """The migrations of this version by app, from the folders: Django would make the home before it is looked at."""
    package = Path(hetang.__file__).parent
    found: dict[str, set[str]] = {}
    for path in package.rglob("migrations/[0-9]*.py"):
        label = path.parent.parent.name
        found.setdefault(label, set()).add(f"{label}.{path.stem}")
    return found


@contextmanager
def restoring(home: Path, secrets: dict[str, Any]) -> Iterator[None]:
    """Mark the home while the block works on it; what an earlier unfinished try left is cleared first."""
    from hetang.platform import supervisor

    if (home / MARKER).exists():
        for name in MADE_BY_US:
            shutil.rmtree(home / name, ignore_errors=True)
    for made in (home, *(home / name for name in ("files", "run", "logs", "sets", "static"))):
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
    with supervisor.only_one(home):
        folder.write_durably(home / MARKER, "hetang restore has not finished here\n")
        keys.install(home, secrets)
        yield
        os.sync()
        (home / MARKER).unlink()
        folder.sync(home)


@contextmanager
def database(home: Path, url: str) -> Iterator[str]:
    """The server to restore into: the embedded one, running for as long as the block, or an empty external one."""
    if url:
        _refuse_full_database(url)
        yield url
        return
    server = postgres.start(home)
    try:
        yield server.url
    finally:
        server.stop()


def _refuse_full_database(url: str) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        found = dump.tables(connection)
    if found:
        raise BackupRefused(
            f"the database is not empty (it holds {len(found)} tables, first {found[0]}); create a new one"
        )


def _load(backup: Backup, url: str, *, atomically: bool) -> None:
    """All or nothing in a database of somebody else's; in our own new one in parallel, since it goes whole."""
    import psycopg

    dumped, env = backup.path / "database", programs.environment_of(url)
    if atomically:
        programs.run_script(dumped, env=env)
    else:
        way = [f"--jobs={dump.JOBS}", "--exit-on-error", "--no-owner", "--no-privileges"]
        programs.run("pg_restore", *way, "--dbname", _name(url), dumped, env=env)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("analyze")


def _name(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(url).get("dbname") or "hetang")


def _compare(backup: Backup, url: str) -> None:
    """Raises BackupRefused when a table has not exactly the rows that were saved."""
    import psycopg

    with psycopg.connect(url) as connection:
        found = {table: dump.count(connection, table) for table in dump.tables(connection)}
    wrong = {
        table for table in {*found, *backup.manifest.tables} if found.get(table) != backup.manifest.tables.get(table)
    }
    if wrong:
        first = min(wrong)
        raise BackupRefused(
            f"{len(wrong)} tables differ from what was saved: {first} has {found.get(first)} rows"
            f" instead of {backup.manifest.tables.get(first)}"
        )


def _bring_files(backup: Backup, home: Path, url: str) -> int:
    """Copy the files; returns how many that the database names are not there."""
    import psycopg

    source = backup.path / "files"
    for path in dump.kept_files(source):
        folder.copy(path, home / "files" / path.relative_to(source))
    with psycopg.connect(url) as connection:
        return sum(not (home / "files" / path).is_file() for path in dump.stored_paths(connection))


def bring_lists(beside: Path, home: Path) -> None:
    """Lists that only grow are mirrored beside the backups: what happened since the backup is in them."""
    for name in lasting.NAMES:
        lasting.bring(name, beside, home)


def settle(home: Path, url: str, taken_at: str) -> list[str]:
    """Let the rooms adapt the restored database to its new place, in a process with Django; returns the migrations
    applied. See `hetang.platform.restored`."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HETANG_WEB")},
        "HETANG_HOME": str(home),
        "HETANG_DATABASE_URL": url,
    }
    command = children.python("hetang.cli", "restored", "--taken-at", taken_at)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupRefused(f"the restored database could not be brought to this version:\n{done.stderr[-2000:]}")
    return done.stdout.split()


def unfinished(home: Path) -> str:
    """Why a home may not be used, if a restore into it did not finish; else nothing."""
    if not (home / MARKER).exists():
        return ""
    return f"a restore into {home} did not finish; run the same `hetang restore` again, it starts over"


@contextmanager
def stage(done: Restored, name: str, watch: Watch) -> Iterator[None]:
    """Time a stage of a restore, and tell whoever watches."""
    watch(name)
    seconds = programs.stopwatch()
    yield
    done.seconds[name] = seconds()


def secrets_for(home: Path, file: Path | None, passphrase: str = "") -> dict[str, Any]:
    """The keys for a restore: those of the named file, or those that lie in the home already."""
    if file is not None:
        return keys.read(file, passphrase)
    if (home / "secrets.json").exists():
        return keys.of_home(home)
    raise BackupRefused(
        "the keys are not in a backup: name the file with --keys (an export of `hetang keys`, or secrets.json)"
    )
