"""The whole product on a temporary home, for benchmarks: started like a user starts it, stopped and removed after."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

READY_S = 120


class Product:
    """`hetang up` (or `hetang demo`) in an own home. This process joins it: Django is set up on the same database."""

    def __init__(
        self,
        demo: bool = False,
        web_workers: int = 1,
        home: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.demo = demo
        self.web_workers = web_workers
        self.home = home or Path(tempfile.mkdtemp(prefix="hetang-bench-"))
        self.environment = environment or {}
        self.url = ""
        self.api_key = ""

    def __enter__(self) -> Self:
        from hetang.platform import children, ports

        port = ports.free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "hetang.cli", "demo" if self.demo else "up", "--home", str(self.home)]
        env = {**os.environ, "HETANG_WEB_WORKERS": str(self.web_workers), **self.environment}
        self.started = time.monotonic()
        self.log = (Path(tempfile.gettempdir()) / f"{self.home.name}.log").open("wb")
        self.process = children.spawn([*command, "--port", str(port)], env=env, log=self.log)
        self._wait_until_ready()
        self._join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        if kind is not None:
            print(Path(self.log.name).read_text(errors="replace")[-4000:], file=sys.stderr)
        Path(self.log.name).unlink()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def database_url(self) -> str:
        return os.environ["HETANG_DATABASE_URL"]

    def seconds_behind(self) -> dict[str, float]:
        """How old the oldest fact is that each stream has not applied yet, seconds."""
        from hetang.facts import queries

        return {f"{lag.name}_behind_s": round(lag.seconds, 2) for lag in queries.lags()}

    def wait_until_applied(self, timeout_s: float) -> None:
        """Return once no stream has a fact waiting. Raises TimeoutError, or RuntimeError if one has stopped."""
        from hetang.facts import queries

        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            lags = queries.lags()
            stopped = [f"{lag.name}: {lag.error}" for lag in lags if lag.error]
            if stopped:
                raise RuntimeError(f"streams stopped: {stopped}")
            if not any(lag.waiting for lag in lags):
                return
            time.sleep(0.1)
        raise TimeoutError(f"streams are behind: {self.seconds_behind()}")

    def processes(self) -> list[Any]:
        """The supervisor and everything below it, as psutil processes."""
        import psutil

        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def _wait_until_ready(self) -> None:
        while time.monotonic() - self.started < READY_S:
            if self.process.poll() is not None:
                raise RuntimeError(Path(self.log.name).read_text(errors="replace")[-4000:])
            try:
                with urllib.request.urlopen(f"{self.url}/login", timeout=2):
                    self.ready_s = time.monotonic() - self.started
                    return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the console did not answer")

    def _join(self) -> None:
        from hetang.platform import environment, ports, postgres

        os.environ["HETANG_HOME"] = str(self.home)
        environment.home.cache_clear()
        environment.forget_secrets()
        engine = f"http://127.0.0.1:{ports.remembered(self.home)['engine']}"
        os.environ |= {"HETANG_CLICKHOUSE_URL": engine, "HETANG_SETS_URL": engine}
        os.environ["HETANG_DATABASE_URL"] = postgres.start(self.home).url  # adopts the running one
        os.environ["DJANGO_SETTINGS_MODULE"] = "hetang.settings"
        import django

        django.setup()
        from hetang.platform import api_keys

        self.api_key = api_keys.create("benchmark", ["facts:write"], None, limits=api_keys.WIDE)[1]
