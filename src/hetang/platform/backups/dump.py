"""A logical backup while the product runs: PostgreSQL's dump of one snapshot, and the files of the home.

Counts come from the same snapshot as the dump, so a restore can be compared exactly. The snapshot's transaction only
reads and so has no transaction id: it holds no stream back. Files are written once under random names before their
row is committed, so those that the snapshot names are there when they are copied after it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetang import __version__
from hetang.platform import lasting
from hetang.platform.backups import folder as backups
from hetang.platform.backups import keys, programs
from hetang.platform.backups.folder import Backup, BackupRefused

if TYPE_CHECKING:
    import psycopg

JOBS = max(1, min(4, os.cpu_count() or 1))
LINGERS = frozenset({".plain", ".new", ".draft"})  # of work under way, never of something kept
SCRATCH = "scratch"
# PostgreSQL since August 2026 (15.20, 18.6 ...) notes a version beside a column's options; a pg_dump of before takes it
# for an option, which no server accepts when it is brought back.
_NOTED = re.compile(rb"ALTER (?:FOREIGN )?TABLE ONLY [^;]{1,200} SET \(pg_attver=\d+\);")

Watch = Callable[[str], None]


def take(home: Path, url: str, folder: Path, watch: Watch = lambda _stage: None) -> Backup:
    """Back up the database at `url` and the files of `home` into `folder`. Minutes per ten million rows.

    `watch` hears the stage about twice a second and may raise to give up; nothing that counts as a backup is left then.
    """
    import psycopg

    secrets = keys.of_home(home)
    with backups.writing(folder):
        seconds = programs.stopwatch()
        before = backups.newest(folder)
        draft = backups.begin(folder)
        with psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            taken_at = datetime.now(UTC)
            census = take_census(connection, lambda: watch("counting"))
            _dump(connection, url, draft / "database", lambda: watch("database"))
            known, gone = _copy_files(connection, home / "files", draft, before, lambda: watch("files"))
        values: dict[str, Any] = {
            "kind": backups.LOGICAL,
            "hetang": __version__,
            "taken_at": taken_at.isoformat(timespec="seconds"),
            "seconds": seconds(),
            "keys": keys.fingerprints(secrets),
            "files": len(known),
            "files_gone": gone,
            **census,
        }
        for name in lasting.NAMES:
            lasting.bring(name, home, folder)
        return backups.finish(draft, values, known)


def take_census(connection: psycopg.Connection[Any], watch: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """What the database holds at this moment: rows by table, epoch, migrations, version of the server."""
    counts = {}
    for table in tables(connection):
        watch()
        counts[table] = count(connection, table)
    if "django_migrations" not in counts:
        raise BackupRefused("the database holds no Hetang: it has no django_migrations")
    applied = connection.execute("select app || '.' || name from django_migrations order by 1").fetchall()
    epoch = connection.execute("select epoch from facts_epoch").fetchone() if "facts_epoch" in counts else None
    version = connection.execute("select current_setting('server_version')").fetchone()
    size = connection.execute("select pg_database_size(current_database())").fetchone()
    return {
        "tables": counts,
        "database_bytes": size[0] if size else 0,
        "migrations": [row[0] for row in applied],
        "epoch": epoch[0] if epoch else 0,
        "server": version[0] if version else "",
    }


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every table that holds rows itself: plain tables and partitions."""
    rows = connection.execute(
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1"
    )
    return [row[0] for row in rows]


def count(connection: psycopg.Connection[Any], table: str) -> int:
    """Rows of a table."""
    from psycopg import sql

    row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
    return int(row[0]) if row else 0


def _dump(connection: psycopg.Connection[Any], url: str, target: Path, watch: Callable[[], None]) -> None:
    exported = connection.execute("select pg_export_snapshot()").fetchone()
    assert exported is not None  # noqa: S101 - the function returns one row
    programs.run(
        "pg_dump",
        *("--format=directory", f"--jobs={JOBS}", "--compress=gzip:3", "--no-owner", "--no-privileges"),
        *(f"--snapshot={exported[0]}", "--file", target),
        env=programs.environment_of(url),
        watch=watch,
    )
    contents = target / "toc.dat"
    contents.write_bytes(without_notes(contents.read_bytes()))


def without_notes(contents: bytes) -> bytes:
    """A dump's table of contents without the server's own notes. As many bytes as before: it holds lengths."""
    return _NOTED.sub(lambda found: b" " * len(found[0]), contents)


def _copy_files(
    connection: psycopg.Connection[Any], files: Path, draft: Path, before: Backup | None, watch: Callable[[], None]
) -> tuple[dict[str, str], int]:
    """Copy the home's files; those that the backup before has unchanged share its bytes on the disk. Returns the sums
    by path, and how many files that the snapshot names were already gone."""
    known, old_sums = {}, backups.sums(before) if before else {}
    for path in kept_files(files):
        watch()
        relative = f"files/{path.relative_to(files).as_posix()}"
        old = before.path / relative if before else None
        if old is not None and relative in old_sums and _same(path, old) and _link(old, draft / relative):
            known[relative] = old_sums[relative]
            continue
        try:
            known[relative] = backups.copy(path, draft / relative)
        except FileNotFoundError:  # removed since it was listed
            (draft / relative).unlink(missing_ok=True)
    (draft / "files").mkdir(exist_ok=True, mode=0o700)
    named = {f"files/{path}" for path in stored_paths(connection)}
    return known, len(named - set(known))


def kept_files(files: Path) -> Iterator[Path]:
    """What of `home/files` is kept: everything but the scratch of work under way."""
    for path in sorted(files.rglob("*")) if files.is_dir() else []:
        scratch = SCRATCH in path.relative_to(files).parts
        if not scratch and path.suffix not in LINGERS and path.is_file() and not path.is_symlink():
            yield path


def stored_paths(connection: psycopg.Connection[Any]) -> list[str]:
    """The files that the database names."""
    if "platform_storedfile" not in tables(connection):
        return []
    return [row[0] for row in connection.execute("select path from platform_storedfile")]


def _same(path: Path, old: Path) -> bool:
    try:
        new_state, old_state = path.stat(), old.stat()
    except FileNotFoundError:
        return False
    return (new_state.st_size, new_state.st_mtime_ns) == (old_state.st_size, old_state.st_mtime_ns)


def _link(old: Path, new: Path) -> bool:
    new.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        return False
    return True
