"""The drill: bring the newest backup back into a home that is thrown away afterwards, and say how it went.

A backup that nobody ever restored is a hope. The report is kept beside the backups and shown on the operations page.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hetang.platform.backups import folder, keys, programs, recovery, restore
from hetang.platform.backups.dump import Watch
from hetang.platform.backups.folder import BackupRefused
from hetang.platform.backups.restore import Restored

REPORTS = "drills"
KEPT_REPORTS = 50


@dataclass
class Rehearsal:
    """One way back that was tried: `problem` is empty when it worked."""

    way: str  # "backup" or "archive"
    problem: str = ""
    restored: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Report:
    """What a drill found."""

    at: str
    hetang: str
    rehearsals: list[Rehearsal]

    @property
    def ok(self) -> bool:
        return bool(self.rehearsals) and not any(one.problem for one in self.rehearsals)

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at)

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


def run(home: Path, backups: Path, archive: Path | None, watch: Watch = lambda _stage: None) -> Report:
    """Try every way back that this installation has. Raises BackupRefused only when there is none, or another drill
    runs; what fails on the way is in the report."""
    from hetang import __version__

    newest = folder.newest(backups)
    if newest is None:
        raise BackupRefused(f"there is no complete backup in {backups}; make one with `hetang backup`")
    secrets = keys.of_home(home)
    with own_home(home, "drill") as place:
        tried = [_rehearse("backup", lambda: restore.restore(newest, place, secrets, watch=watch), place)]
        if archive is not None:
            tried.append(_rehearse("archive", lambda: recovery.restore_at(archive, None, place, secrets, watch), place))
    report = Report(datetime.now(UTC).isoformat(timespec="seconds"), __version__, tried)
    _keep(backups / REPORTS, report)
    return report


def reports(backups: Path) -> list[Report]:
    """The drills that were run, the newest first."""
    found = []
    for path in sorted((backups / REPORTS).glob("*.json"), reverse=True):
        values = json.loads(path.read_text())
        rehearsals = [Rehearsal(**one) for one in values["rehearsals"]]
        found.append(Report(values["at"], values["hetang"], rehearsals))
    return found


def _rehearse(way: str, work: Callable[[], Restored], place: Path) -> Rehearsal:
    seconds = programs.stopwatch()
    tried = Rehearsal(way)
    try:
        tried.restored = work().as_dict()
    except BackupRefused as refused:
        tried.problem = str(refused)
    except OSError as problem:
        tried.problem = f"{type(problem).__name__}: {problem}"
    tried.seconds = seconds()
    shutil.rmtree(place, ignore_errors=True)
    return tried


@contextmanager
def own_home(home: Path, name: str) -> Iterator[Path]:
    """A home to throw away, below the real one; what a run that died left is cleared first. One at a time."""
    place = home / "run" / name
    place.parent.mkdir(exist_ok=True, mode=0o700)
    with place.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRefused(f"another {name} is running; wait for it") from None
        shutil.rmtree(place, ignore_errors=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _keep(place: Path, report: Report) -> None:
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = report.time.strftime(folder.NAME)
    folder.write_durably(place / f"{name}.json", json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    for old in sorted(place.glob("*.json"))[:-KEPT_REPORTS]:
        old.unlink(missing_ok=True)
