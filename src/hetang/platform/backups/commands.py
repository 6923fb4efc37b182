"""`hetang backup`, `backups`, `restore`, `drill`, `keys`: what an operator does about backups from a shell."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hetang.platform import children, environment
from hetang.platform.backups import archive, drill, dump, folder, keys, recovery, restore
from hetang.platform.backups.folder import BackupRefused
from hetang.platform.backups.restore import Restored

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def register(add: Add) -> None:
    """Add the commands; `add(name, run, help)` makes one that knows --home."""
    backup = add("backup", _backup, "save the database and the files, also while the product runs")
    backup.add_argument("--to", help="folder of backups (HETANG_BACKUPS; default HOME/backups)")
    backup.add_argument("--base", action="store_true", help="a base backup into HETANG_ARCHIVE, for any later moment")
    _machine(backup)
    listing = add("backups", _backups, "list the backups and the moments that can be restored")
    listing.add_argument("--in", dest="source", help="folder of backups (HETANG_BACKUPS; default HOME/backups)")
    back = add("restore", _restore, "bring a backup back into an empty home or an empty database")
    back.add_argument("source", help="a backup, a folder of backups (its newest is taken), or with --at the archive")
    back.add_argument("--keys", help="file of keys: an export of `hetang keys`, or secrets.json")
    back.add_argument("--at", help="moment to return to, for example 2026-11-26T10:31:00+08:00, or latest")
    back.add_argument("--json", action="store_true", help="print the report as JSON")
    tried = add("drill", _drill, "bring the newest backup back into a home that is thrown away, and report")
    _machine(tried)
    export = add("keys", _keys, "export the keys of this home, encrypted under a passphrase")
    export.add_argument("file", help="file to write; keep it in another place than the backups")
    settle = add("restored", _restored, "process: what a database needs that was just restored")
    settle.add_argument("--taken-at", required=True)


def _machine(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.add_argument("--parent", type=int, help=argparse.SUPPRESS)  # of a job: die with it


def backups_folder(home: Path) -> Path:
    """Where this home's backups lie."""
    named = os.environ.get("HETANG_BACKUPS", "")
    return Path(named).expanduser().resolve() if named else home / "backups"


def _backup(options: argparse.Namespace) -> int:
    from hetang.platform import supervisor

    _end_in_order(options.parent)
    home = _home()
    try:
        with supervisor.database(home) as url:
            if options.base:
                made = archive.take_base(home, url, _archive(home, url), say)
            else:
                target = Path(options.to).expanduser().resolve() if options.to else backups_folder(home)
                made = dump.take(home, url, target, say)
    except BackupRefused as refused:
        return refuse(refused)
    about = made.manifest
    if options.json:
        print(json.dumps({"path": str(made.path), "bytes": about.bytes, "rows": about.rows, "seconds": about.seconds}))
        return 0
    print(f"{made.path}: {about.rows} rows, {about.files} files, {about.bytes / 1e6:.1f} MB in {about.seconds:.0f} s")
    print("The keys are NOT in it, and without them nobody can read names and phone numbers.")
    print("Export them once with `hetang keys FILE` and keep that file in another place.")
    return 0


def _backups(options: argparse.Namespace) -> int:
    home = environment.home()
    place = Path(options.source).expanduser().resolve() if options.source else backups_folder(home)
    for backup in folder.complete(place):
        about = backup.manifest
        print(f"{backup.path}  {about.rows} rows  {about.bytes / 1e6:.1f} MB  Hetang {about.hetang}")
    wanted = archive.configured()
    for root in sorted(wanted.glob("*/")) if wanted else []:
        bases = folder.complete(root / "base", folder.BASE)
        logs = list(archive.log_files(root / "wal"))
        if bases and logs:
            until = datetime.fromtimestamp(logs[-1].stat().st_mtime, UTC)
            print(f"{root}  any moment from {bases[0].manifest.taken_at} to {until:%Y-%m-%dT%H:%M:%S+00:00}")
    return 0


def _restore(options: argparse.Namespace) -> int:
    _end_in_order()
    home = environment.home()
    try:
        source = Path(options.source).expanduser().resolve()
        secrets = restore.secrets_for(home, *_keys_file(options.keys))
        if options.at:
            done = _restore_at(source, options.at, home, secrets)
        else:
            done = restore.restore(_chosen(source), home, secrets, url=environment.database_url(), watch=say)
    except BackupRefused as refused:
        return refuse(refused)
    if options.json:
        print(json.dumps(done.as_dict()))
        return 0
    _tell(done, home)
    return 0


def _restore_at(source: Path, at: str, home: Path, secrets: dict[str, object]) -> Restored:
    if environment.database_url():
        raise BackupRefused(
            "--at works with the embedded server; an external server has point-in-time recovery of its own"
        )
    return recovery.restore_at(source, _moment(at), home, secrets, say)


def _moment(text: str) -> datetime | None:
    if text == "latest":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BackupRefused(f"{text!r} is no time with a zone; write for example 2026-11-26T10:31:00+08:00, or latest")
    return found


def _chosen(source: Path) -> folder.Backup:
    if (source / "manifest.json").exists() or source.name.endswith(folder.PARTIAL):
        chosen = folder.open_backup(source)
        if chosen.manifest.kind == folder.BASE:
            raise BackupRefused(f"{source} is a base backup: restore from the archive with --at")
        return chosen
    newest = folder.newest(source)
    if newest is None:
        raise BackupRefused(f"{source} is no backup and holds none")
    return newest


def _tell(done: Restored, home: Path) -> None:
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items())
    print(
        f"Restored {done.backup} into {home}: {done.rows} rows in {done.tables} tables, {done.files} files ({stages})."
    )
    if done.files_missing:
        print(f"{done.files_missing} files that the database names are not in the backup.")
    if done.migrated:
        print(f"{len(done.migrated)} migrations were applied: the backup is of an earlier version.")
    print(
        "Start it with `hetang up`: history and audience sets are made again. Broadcasts that were running are paused;"
    )
    print("look at each before you resume it, since messages may have gone out after the backup.")


def _drill(options: argparse.Namespace) -> int:
    _end_in_order(options.parent)
    home = _home()
    try:
        report = drill.run(home, backups_folder(home), archive.configured(), say)
    except BackupRefused as refused:
        return refuse(refused)
    if options.json:
        print(json.dumps(report.as_dict()))
    else:
        for tried in report.rehearsals:
            what = tried.problem or f"{tried.restored['rows']} rows, {tried.restored['files']} files restored"
            print(f"{tried.way}: {what} ({tried.seconds:.1f} s)")
    return 0 if report.ok else 1


def _keys(options: argparse.Namespace) -> int:
    try:
        passphrase = os.environ.get("HETANG_KEYS_PASSPHRASE") or _twice()
        keys.export(environment.home(), Path(options.file).expanduser().resolve(), passphrase)
    except BackupRefused as refused:
        return refuse(refused)
    print(
        f"{options.file} holds the keys, encrypted. Keep it apart from the backups, and the passphrase apart from it."
    )
    print("Export again after each change of keys, and keep earlier exports for as long as backups of their time.")
    return 0


def _twice() -> str:
    first = _asked("Passphrase 口令: ")
    if first != _asked("Once more 再输一次: "):
        raise BackupRefused("the two passphrases differ; nothing was written")
    return first


def _asked(prompt: str) -> str:
    """What is typed unseen. Raises BackupRefused without a terminal."""
    if not sys.stdin.isatty():
        raise BackupRefused("there is no terminal to ask for the passphrase: set HETANG_KEYS_PASSPHRASE")
    try:
        return getpass.getpass(prompt)
    except (EOFError, KeyboardInterrupt) as stopped:
        raise BackupRefused("no passphrase was given; nothing was done") from stopped


def _keys_file(named: str | None) -> tuple[Path | None, str]:
    if not named:
        return None, ""
    path = Path(named).expanduser().resolve()
    if not keys.is_sealed(path):
        return path, ""
    return path, os.environ.get("HETANG_KEYS_PASSPHRASE") or _asked("Passphrase 口令: ")


def _restored(options: argparse.Namespace) -> int:
    django_ready()
    from hetang.platform import restored, upgrade

    try:
        names = restored.settle(datetime.fromisoformat(options.taken_at))
    except upgrade.NotReady as problem:
        return refuse(problem)
    print(*names, sep="\n")
    return 0


def _archive(home: Path, url: str) -> Path:
    if not is_embedded(home, url):
        raise BackupRefused("base backups are of the embedded server; an external server has its provider's own")
    found = archive.configured()
    if found is None:
        raise BackupRefused("name a folder for the archive in HETANG_ARCHIVE first, and start Hetang with it")
    return found


def is_embedded(home: Path, url: str) -> bool:
    """Whether `url` is the server of this home."""
    from hetang.platform import postgres

    data = home / "postgres"
    return (data / "PG_VERSION").exists() and url == postgres.Server(data, postgres.socket_folder(home), None).url


def _home() -> Path:
    home = environment.home()
    if not (home / "secrets.json").exists():
        raise SystemExit(refuse(BackupRefused(f"{home} is no data directory of Hetang; name it with --home")))
    return home


def _end_in_order(parent: int | None = None) -> None:
    """Let SIGTERM (also the death of a job that is our `parent`) take the servers and programs below us along."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if parent is not None:
        children.die_with_parent(signal.SIGTERM, parent)


def say(stage: str) -> None:
    """Stages go to stderr, one line each, for whoever watches."""
    if _said != [stage]:
        _said[:] = [stage]
        print(stage, file=sys.stderr, flush=True)


_said: list[str] = []


def refuse(problem: Exception) -> int:
    """Say why on stderr; the exit code of a refusal."""
    print(f"hetang: {problem}", file=sys.stderr)
    return 2


def django_ready() -> None:
    """Set Django up for this home."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
    import django

    django.setup()
