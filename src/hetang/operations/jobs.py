"""Backups and drills as jobs that one can watch and cancel. The work is done by the same commands as from a shell, in
processes of their own: a job must not hold a database connection for hours, and memory comes back at the end."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from typing import Any

from hetang.operations import configured, schedule
from hetang.platform import children, environment
from hetang.platform.backups import archive, commands, folder, retention
from hetang.platform.jobs import Work, job

STAGES = {"counting": 1, "database": 2, "files": 3, "checksums": 1, "base": 2, "log": 2, "counts": 3, "settling": 4}


class CommandFailed(Exception):
    """The command ended with an error; the message is what it said."""


@job(schedule.BACKUP)
def backup(work: Work) -> dict[str, Any]:
    """A logical backup; then the old ones go."""
    result = _command(work, 4, "backup", "--json")
    result["removed"] = len(remove_old_backups())
    return result


@job(schedule.BASE)
def base_backup(work: Work) -> dict[str, Any]:
    """A base backup into the archive; then old ones go with their log."""
    result = _command(work, 4, "backup", "--base", "--json")
    place = archive.configured()
    if place is not None:
        gone = archive.prune(place, environment.home() / "postgres", configured.number("backup.keep_bases"))
        result["removed"] = len(gone)
    return result


@job(schedule.DRILL)
def drill(work: Work) -> dict[str, Any]:
    """Bring the newest backup back into a home that is thrown away. Fails when it does not come back."""
    report = _command(work, 5, "drill", "--json", may_fail=True)
    problems = [one["problem"] for one in report["rehearsals"] if one["problem"]]
    if problems:
        raise CommandFailed("; ".join(problems))
    return {one["way"]: f"{one['seconds']} s" for one in report["rehearsals"]}


def remove_old_backups() -> list[str]:
    """Remove the backups that the settings do not keep; returns their names."""
    place = commands.backups_folder(environment.home())
    keep = retention.Keep(
        configured.number("backup.keep_days"),
        configured.number("backup.keep_weeks"),
        configured.number("backup.keep_months"),
    )
    with folder.writing(place):
        found = folder.complete(place)
        stay = retention.kept([one.manifest.at for one in found], keep)
        old = [one for one in found if one.manifest.at not in stay]
        for one in old:
            folder.remove(one)
    return [one.name for one in old]


def _command(work: Work, stages: int, *arguments: str, may_fail: bool = False) -> dict[str, Any]:
    """Run `hetang ARGUMENTS`, report its stages, end it when the job is cancelled; returns the JSON that it prints."""
    command = children.python("hetang.cli", *arguments, "--parent", str(os.getpid()))
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=said)
        try:
            while process.poll() is None:
                said.seek(0)
                stage = (said.read().decode(errors="replace").split() or ["counting"])[-1]
                work.progress(STAGES.get(stage, 0), stages, stage)
                _wait(process)
        except BaseException:
            process.terminate()
            process.wait(30)
            raise
        said.seek(0)
        out.seek(0)
        printed = out.read().decode(errors="replace").strip()
        if process.returncode != 0 and not (may_fail and printed):
            raise CommandFailed(said.read().decode(errors="replace").strip()[-2000:])
        result: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return result


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return
