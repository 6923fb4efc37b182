"""The values of all processes of an installation, added up.

Each process writes what it counts to HOME/run/metrics/<pid>-<start>.json. The counters of one that is dead are added
to `gone.json`, once, so that a restart takes nothing away; its gauges are forgotten.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hetang.platform import children, environment, metrics
from hetang.platform.metrics import GAUGE, Family, Gauge, Sample

log = logging.getLogger(__name__)

EVERY_S = 5.0
_GONE = "gone.json"
_begun: int | None = None  # the pid that writes: a fork must begin anew

RESIDENT = Gauge("hetang_process_resident_bytes", "Memory of a process.", ("process",))
THREADS = Gauge("hetang_process_threads", "Threads of a process.", ("process",))


def begin() -> None:
    """Write this process's values every five seconds from now on. May be called again."""
    global _begun  # noqa: PLW0603 - once per process is the point
    if _begun == os.getpid():
        return
    _begun = os.getpid()
    threading.Thread(target=_write_on, name="metrics", daemon=True).start()


def write() -> None:
    """Write this process's values now."""
    _note_process()
    folder = _folder()
    draft = folder / f"{_own()}.new"
    draft.write_text(json.dumps([_plain(one) for one in metrics.families()]))
    draft.replace(folder / f"{_own()}.json")


def everything() -> list[Family]:
    """The values of this process, of the others as they last wrote them, and of those that ended."""
    folder = _folder()
    _note_process()
    with _only_one(folder):
        try:
            _fold_the_dead(folder)
        except OSError as problem:  # a full disk: their files stay, and count as they are
            log.warning("metrics of dead processes were not added up: %s", problem)
        counted = {f"{_own()}.json", *_gone(folder)["folded"]}
        written = [path for path in folder.glob("*-*.json") if path.name not in counted]
        found = [_read(path) for path in (*written, folder / _GONE)]
    return merged([*(family for one in found for family in one), *metrics.families()])


def merged(found: Iterable[Family]) -> list[Family]:
    """Counters of one name and label are added up, of gauges the greatest counts."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, Any], Sample]] = {}
    for family in found:
        families.setdefault(family.name, family)
        kept = values.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.suffix, sample.labels)
            value = sample.value
            if key in kept:
                value = max(value, kept[key].value) if family.kind == GAUGE else value + kept[key].value
            kept[key] = Sample(sample.name, sample.labels, value, sample.suffix)
    return [
        Family(name, one.kind, one.help, tuple(sorted(values[name].values(), key=_order)))
        for name, one in families.items()
    ]


def _order(sample: Sample) -> Any:
    """Buckets of a histogram stand together, in the order of their bounds."""
    bound = next((float(value) for name, value in sample.labels if name == "le"), float("inf"))
    return [pair for pair in sample.labels if pair[0] != "le"], sample.suffix != "_bucket", bound, sample.suffix


def _write_on() -> None:
    while True:
        try:
            write()
        except OSError as problem:  # a full disk: the next try may find room, and nothing else depends on it
            log.warning("metrics were not written: %s", problem)
        time.sleep(EVERY_S)


def _note_process() -> None:
    name = os.environ.get("HETANG_PROCESS", "") or "other"
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return
    RESIDENT.set(pages * os.sysconf("SC_PAGE_SIZE"), name)
    THREADS.set(threading.active_count(), name)


def _fold_the_dead(folder: Path) -> None:
    dead = [path for path in folder.glob("*-*.json") if _is_dead(path.stem)]
    if not dead:
        return
    kept = _gone(folder)
    fresh = [path for path in dead if path.name not in kept["folded"]]
    sums = merged(family for part in (kept["families"], *map(_read_json, fresh)) for family in _families(part))
    counted = [_plain(one) for one in sums if one.kind != GAUGE]
    # The names first, then the files: dying in between must not count anything twice.
    _keep(folder / _GONE, {"folded": [path.name for path in dead], "families": counted})
    for path in dead:
        path.unlink(missing_ok=True)


def _gone(folder: Path) -> dict[str, Any]:
    return _read_json(folder / _GONE) or {"folded": [], "families": []}


def _read(path: Path) -> list[Family]:
    value = _read_json(path)
    return _families(value.get("families") if isinstance(value, dict) else value)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _families(value: Any) -> list[Family]:
    return [
        Family(
            one["name"],
            one["kind"],
            one["help"],
            tuple(
                Sample(one["name"], tuple((label, text) for label, text in labels), number, suffix)
                for labels, number, suffix in one["samples"]
            ),
        )
        for one in value or []
    ]


def _plain(one: Family) -> dict[str, Any]:
    samples = [(sample.labels, sample.value, sample.suffix) for sample in one.samples]
    return {"name": one.name, "kind": one.kind, "help": one.help, "samples": samples}


def _keep(path: Path, value: Any) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(value))
    draft.replace(path)


def _is_dead(stem: str) -> bool:
    pid, _, started = stem.partition("-")
    return not pid.isdigit() or children.started(int(pid)) != started


def _own() -> str:
    return f"{os.getpid()}-{children.started(os.getpid())}"


def _folder() -> Path:
    folder = environment.home() / "run" / "metrics"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
