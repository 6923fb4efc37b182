"""Processes of the product that tests start, watch and kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from hetang.platform import children
from hetang.platform.ports import free_port


class EngineProcess:
    """`hetang engine` on a home; `database` replaces the database of HETANG_DATABASE_URL."""

    def __init__(self, home: Path, *, database: str | None = None, clickhouse_url: str = "") -> None:
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, "HETANG_HOME": str(home), "HETANG_CLICKHOUSE_URL": clickhouse_url}
        if database is not None:
            parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
            self._environment["HETANG_DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{database}"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        log = self.home / "logs" / "engine.log"
        with log.open("ab") as stream:
            command = [sys.executable, "-m", "hetang.cli", "engine", "--port", str(self.port)]
            self.process = children.spawn(command, env=self._environment, log=stream)
        wait_until(lambda: answers(f"{self.address}/ping"), 60, lambda: log.read_text()[-3000:])

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
