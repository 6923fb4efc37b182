"""`hetang upgrade`: save, rehearse on a copy, migrate. And the process that migrates one database."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hetang.platform import environment
from hetang.platform.backups import dump, rehearsal
from hetang.platform.backups.commands import Add, backups_folder, django_ready, refuse, say
from hetang.platform.backups.folder import BackupRefused
from hetang.platform.backups.rehearsal import MigrationFailed, RehearsalFailed


def register(add: Add) -> None:
    """Add the commands."""
    upgrade = add("upgrade", _upgrade, "bring the data directory to this version (with the product stopped)")
    upgrade.add_argument(
        "--rehearse", action="store_true", help="only save and rehearse on a copy; the earlier version may still run"
    )
    upgrade.add_argument(
        "--without-rehearsal", action="store_true", help="save, then migrate at once: for those who rehearsed before"
    )
    migrate = add("migrate", _migrate, "process: apply pending migrations to one database, print what each took")
    migrate.add_argument("--look", action="store_true", help="only say what is pending")


def _upgrade(options: argparse.Namespace) -> int:
    from hetang.platform import supervisor

    home = environment.ensure_home()
    environment.require_secrets()
    try:
        if options.rehearse:
            with supervisor.database(home) as url:
                return _rehearse_only(home, url)
        with supervisor.only_one(home), supervisor.database(home) as url:
            return _carry_out(home, url, rehearse=not options.without_rehearsal)
    except RehearsalFailed as failed:
        return refuse(Exception(f"the rehearsal failed, nothing was changed: {failed}"))
    except (BackupRefused, MigrationFailed) as refused:
        return refuse(refused)


def _rehearse_only(home: Path, url: str) -> int:
    pending, _used = rehearsal.look(home, url)
    if pending:
        _rehearse(home, url)
    else:
        print("nothing is pending: there is nothing to rehearse")
    return 0


def _carry_out(home: Path, url: str, *, rehearse: bool) -> int:
    """A database that nobody uses yet is migrated at once; any other is saved first."""
    pending, used = rehearsal.look(home, url)
    way_back = ""
    if pending and used:
        saved = _rehearse(home, url) if rehearse else _save(home, url)
        way_back = f"; the state before is in {saved} (`hetang restore`)"
    try:
        applied = rehearsal.migrate(home, url) if pending else []
    except MigrationFailed as failed:
        raise MigrationFailed(f"rolled back, earlier ones stay: {failed}{way_back}") from failed
    for line in rehearsal.told(applied):
        print(line)
    print(f"{len(applied)} migrations applied; start with `hetang up`")
    return 0


def _rehearse(home: Path, url: str) -> Path:
    done = rehearsal.rehearse(home, url, backups_folder(home), say)
    print(f"Saved as {done.backup.path} and rehearsed on a copy (made in {done.copied_s:.1f} s):")
    for line in rehearsal.told(done.applied):
        print(f"  {line}")
    print(f"The migrations took {done.seconds:.1f} s on the copy.")
    return done.backup.path


def _save(home: Path, url: str) -> Path:
    saved = dump.take(home, url, backups_folder(home), say)
    print(f"Saved as {saved.path}.")
    return saved.path


def _migrate(options: argparse.Namespace) -> int:
    django_ready()
    from hetang.platform import migrating, upgrade

    upgrade.check_server()
    if options.look:
        print(json.dumps({"pending": upgrade.pending(), "used": not upgrade.is_unused()}))
        return 0
    try:
        applied = migrating.apply()
    except migrating.MigrationFailed as failed:
        return refuse(failed)
    print(json.dumps([one.as_dict() for one in applied]))
    return 0
