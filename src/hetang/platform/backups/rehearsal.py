"""Upgrading with a rehearsal: save, try the migrations on a copy that is thrown away, and only then touch the data.

The copy is made from the backup that is taken anyway, so the rehearsal also proves that the backup comes back.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hetang.platform import children
from hetang.platform.backups import drill, dump, keys, programs, restore
from hetang.platform.backups.dump import Watch
from hetang.platform.backups.folder import Backup


class MigrationFailed(Exception):
    """A migration does not apply to these data; the message says which one and why."""


class RehearsalFailed(MigrationFailed):
    """It was on the copy: nothing was changed."""


@dataclass
class Rehearsed:
    """What the migrations did to the copy."""

    backup: Backup
    copied_s: float
    applied: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return float(sum(one["seconds"] for one in self.applied))


def rehearse(home: Path, url: str, backups: Path, watch: Watch = lambda _stage: None) -> Rehearsed:
    """Back up the running or stopped database, restore it into a home to throw away, and migrate that.

    Raises BackupRefused when saving or copying fails, RehearsalFailed when a migration does.
    """
    backup = dump.take(home, url, backups, watch)
    seconds = programs.stopwatch()
    applied: list[dict[str, Any]] = []

    def migrate_copy(place: Path, copy: str, _taken_at: str) -> list[str]:
        watch("rehearsal")
        try:
            applied.extend(migrate(place, copy))
        except MigrationFailed as failed:
            raise RehearsalFailed(str(failed)) from failed
        return [str(one["name"]) for one in applied]

    with drill.own_home(home, "rehearsal") as place:
        done = restore.restore(backup, place, keys.of_home(home), watch=watch, finish=migrate_copy)
    copied = seconds() - done.seconds["settling"]
    return Rehearsed(backup, round(copied, 2), applied)


def migrate(home: Path, url: str) -> list[dict[str, Any]]:
    """Apply the pending migrations to a database; what each took. Raises MigrationFailed."""
    found: list[dict[str, Any]] = _in_django(home, url)
    return found


def look(home: Path, url: str) -> tuple[list[str], bool]:
    """The pending migrations of a database, and whether it is in use. Raises MigrationFailed if it cannot be used."""
    found = _in_django(home, url, "--look")
    return found["pending"], found["used"]


def _in_django(home: Path, url: str, *arguments: str) -> Any:
    """`hetang migrate` on that database, in a process of its own: ours stays small and can look at two homes."""
    env = {**os.environ, "HETANG_HOME": str(home), "HETANG_DATABASE_URL": url}
    command = children.python("hetang.cli", "migrate", *arguments)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MigrationFailed(done.stderr.strip().removeprefix("hetang: ")[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def told(applied: list[dict[str, Any]]) -> list[str]:
    """Lines for people: each migration with its seconds and the tables for which others would have to wait."""
    lines = []
    for one in applied:
        waits = ", ".join(f"{lock['table']} ({lock['rows']} rows, blocks {lock['blocks']})" for lock in one["locked"])
        lines.append(f"{one['name']}  {one['seconds']:.2f} s" + (f"  {waits}" if waits else ""))
    return lines
