"""Processes of the product that tests start, watch and kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from hetang.platform import children, postgres
from hetang.platform.ports import free_port


class EngineProcess:
    """`hetang engine` on a home; `database` replaces the database of HETANG_DATABASE_URL."""

    def __init__(self, home: Path, *, database: str | None = None, clickhouse_url: str = "") -> None:
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.clickhouse_url = clickhouse_url
        self._environment = {**os.environ, "HETANG_HOME": str(home), "HETANG_CLICKHOUSE_URL": clickhouse_url}
        if database is not None:
            parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
            self._environment["HETANG_DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{database}"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        log = self.home / "logs" / "engine.log"
        wait_until(lambda: answers(f"{self.address}/ping"), 60, lambda: log.read_text()[-3000:])

    def launch(self) -> Path:
        """Start without waiting; returns the file that it writes to."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        log = self.home / "logs" / "engine.log"
        with log.open("ab") as stream:
            command = [sys.executable, "-m", "hetang.cli", "engine", "--port", str(self.port)]
            self.process = children.spawn(command, env=self._environment, log=stream)
        return log

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)


def wait_until(condition: Callable[[], bool], timeout_s: float, why: Callable[[], str] = lambda: "") -> float:
    """Wait for a condition; returns the seconds it took, fails with `why()` after `timeout_s`."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout_s:
            raise AssertionError(f"not within {timeout_s:.0f} s: {why()}")
        time.sleep(0.05)
    return time.monotonic() - started


def answers(url: str, expected: bytes = b"Ok.\n") -> bool:
    """Whether a GET of `url` succeeds with a body that starts with `expected`."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.read().startswith(expected))
    except (urllib.error.URLError, OSError):
        return False


class Product:
    """`hetang up` (or `demo`) on a home, as an operator runs it. What it prints goes to `home/up.log`."""

    def __init__(
        self, home: Path, *, command: str = "up", port: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.environment = environment or {}
        self.home = home
        self.command = command
        self.port = port or free_port()
        self.printed = home / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 150) -> float:
        """Start, wait until the console answers; returns the seconds it took."""
        self.process = self.launch()
        return wait_until(self._ready, timeout_s, self._logs)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        self.home.mkdir(exist_ok=True, parents=True, mode=0o700)
        command = [sys.executable, "-P", "-m", "hetang.cli", self.command, "--home", str(self.home)]
        with self.printed.open("wb") as stream:
            return subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=clean_environment(**self.environment),
                cwd=self._folder_of_a_stranger(),
                stdout=stream,
                stderr=stream,
            )

    def _folder_of_a_stranger(self) -> Path:
        """Somebody may type the command anywhere, also where files are called like the packages that we need."""
        folder = self.home.with_name(f"{self.home.name}-elsewhere")
        folder.mkdir(exist_ok=True)
        (folder / "csp.py").write_text("raise SystemExit('not the package')\n")
        return folder

    def refused(self) -> str:
        """Start, expect exit code 2, return what it said."""
        assert self.launch().wait(60) == 2, self._logs()
        return self.printed.read_text()

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._logs()
        return "ready" in self.printed.read_text()

    def _logs(self) -> str:
        paths = [self.printed, *(self.home / "logs").glob("*.log")]
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in paths)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        return postgres.Server(self.home / "postgres", postgres.socket_folder(self.home), None).url

    def tree(self) -> dict[int, str]:
        """Pids of everything below the supervisor, with their command lines."""
        assert self.process is not None
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found[child.pid] = " ".join(child.cmdline())
        return found

    def child(self, part: str) -> psutil.Process:
        """The direct child of the supervisor whose command line holds `part`."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                if part in " ".join(child.cmdline()):
                    return child
        raise LookupError(part)

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout_s)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what this test run told its own processes."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}, **more}


def alive(pids: Iterable[int]) -> list[int]:
    """Those of `pids` that still run (zombies do not)."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found
