"""How soon the demo answers and is loaded on an empty home, and what the whole process tree weighs when idle.

`ready_s`, `loaded_s`: from the start of `hetang demo` (installs are done) until the console answers, and until the demo
brand is in place. `idle_pss_mb`: proportional set size of all processes, simulator included, one minute after that.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from benchmarks.report import report
from hetang.platform import ports, postgres

LONGEST_LOAD_S = 900.0
IDLE_AFTER_S = {"small": 10.0, "full": 60.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=IDLE_AFTER_S, default="full")
    pause = IDLE_AFTER_S[parser.parse_args().size]
    home = Path(tempfile.mkdtemp(prefix="hetang-footprint-"))
    port = ports.free_port()
    started = time.monotonic()
    with (home / "up.log").open("wb") as log:
        demo = _start(home, port, log.fileno())
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/login"), demo, home)
        report("ready_s", time.monotonic() - started, "s", baseline=60)
        _wait(lambda: _loaded(home), demo, home)
        report("loaded_s", time.monotonic() - started, "s", baseline=180)
        time.sleep(pause)
        weights = pss_mb(demo.pid)
        report("idle_pss_mb", sum(weights.values()), "MB", baseline=900, parts=_rounded(weights), after_s=pause)
    finally:
        demo.terminate()
        demo.wait(60)
        shutil.rmtree(home, ignore_errors=True)
    return 0


def pss_mb(pid: int) -> dict[str, float]:
    """Megabytes (PSS) of a process and everything below it, by kind of process."""
    top = psutil.Process(pid)
    weights: dict[str, float] = {}
    for process in [top, *top.children(recursive=True)]:
        try:
            kind, weight = _kind(process), process.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
        weights[kind] = weights.get(kind, 0.0) + weight
    return weights


def _kind(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    for kind in ("engine", "worker", "simulate", "granian", "postgres"):
        if f"hetang.cli {kind}" in command or (kind in {"granian", "postgres"} and kind in command):
            return {"simulate": "simulator", "granian": "web"}.get(kind, kind)
    return "supervisor"


def _rounded(weights: dict[str, float]) -> dict[str, int]:
    return {kind: round(weight) for kind, weight in sorted(weights.items())}


def _start(home: Path, port: int, log: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}
    command = [sys.executable, "-m", "hetang.cli", "demo", "--home", str(home), "--port", str(port)]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _wait(condition: Callable[[], bool], demo: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + LONGEST_LOAD_S
    while not condition():
        if demo.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the demo did not come up:\n{(home / 'up.log').read_text()[-2000:]}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _loaded(home: Path) -> bool:
    """Whether the load job is done; exits when it has failed."""
    url = postgres.Server(home / "postgres", postgres.socket_folder(home), None).url
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select state, error from platform_jobrun where kind = 'demo.load' order by id desc limit 1"
        ).fetchone()
    if found is not None and found[0] in ("failed", "cancelled"):
        sys.exit(f"the demo load {found[0]}: {found[1]}")
    return found is not None and found[0] == "done"


if __name__ == "__main__":
    sys.exit(main())
