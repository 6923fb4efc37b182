"""A simulator in its own process, for tests that talk to it over the wire and kill it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from hetang.platform import children
from hetang.simulator.admin import SimulatorAdmin


class SimulatorProcess:
    """Starts on a free port, and again on the same port after a kill."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "hetang.simulator", "--home", str(self.home), "--port", str(self.port)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        # It dies with the test's process, however that ends.
        self.process = children.spawn(
            command, env=environment, log=subprocess.PIPE, errors=subprocess.DEVNULL, death_signal=signal.SIGKILL
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 30)[0], "the simulator did not start"
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret(self) -> str:
        return str(json.loads((self.home / "secrets.json").read_text())["simulator"])

    def admin(self) -> SimulatorAdmin:
        return SimulatorAdmin(self.url, self.secret)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
