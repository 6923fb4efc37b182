"""What becomes of the product when its surroundings fail under work: nothing acknowledged is lost, nothing is counted
twice, pages say what is wrong, and it recovers by itself.

A till sends facts and repeats each batch until it is acknowledged, a user opens pages, while `--scenario outage` takes
PostgreSQL and the engine away and gives them back, `full` fills the disk (a small tmpfs: needs the right to mount), and
`clock` turns the machine's clock forward and back (needs a C compiler).
`tags` kills the engine while tags change. What cannot be tried here is skipped loudly.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks import kills
from benchmarks.product import Product
from benchmarks.report import report

BATCH = 20
ROUNDS = {"small": 1, "full": 5}
AWAY_S = {"small": 6.0, "full": 20.0}
PATIENCE_S = 120.0
CLEAR = (
    "the database does not answer",
    "the analysis engine does not answer",
    "the disk is full",
    "has not been saved",
)
SHIM = Path(__file__).with_name("clock_shim.c")
PASSWORD = "a long password 1"
TMPFS_MB = 1200


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=ROUNDS, default="full")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    options = parser.parse_args()
    ok = True
    for name in options.scenario or SCENARIOS:
        done = subprocess.run(  # a process each: the product's settings are those of one process
            [sys.executable, "-c", f"from benchmarks import faults; faults.SCENARIOS[{name!r}]({options.size!r})"],
            check=False,
        )
        ok = ok and done.returncode == 0
    return 0 if ok else 1


@dataclass
class Work:
    """A till and a user at work, each in a thread, until `stop`."""

    product: Product
    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    unclear: list[str] = field(default_factory=list)
    page_at: float = 0.0
    fact_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._cookies = self._log_in()
        self._threads = [threading.Thread(target=one) for one in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        number = 0
        with httpx.Client(base_url=self.product.url, timeout=30) as client:
            while not self._stop.is_set():
                keys = [f"fault-{number}-{one}" for one in range(BATCH)]
                while not self._sent(client, keys) and not self._stop.is_set():
                    time.sleep(0.2)
                number += 1
                time.sleep(0.02)

    def _sent(self, client: httpx.Client, keys: list[str]) -> bool:
        facts = [
            {
                "kind": "visit.recorded", "key": key, "occurred_at": "2026-01-01T10:00:00+08:00",
                "who": [{"kind": "phone", "value": f"138{hash(key) % 10**8:08}"}], "body": {"channel": "store"},
            }
            for key in keys
        ]  # fmt: skip
        headers = {"Authorization": f"Bearer {self.product.api_key}"}
        try:
            answer = client.post("/api/v1/facts", json={"source": "till", "facts": facts}, headers=headers)
        except httpx.HTTPError as problem:
            self.answers[f"api {type(problem).__name__}"] += 1
            return False
        self.answers[f"api {answer.status_code}"] += 1
        if answer.status_code not in (200, 503):
            self.unclear.append(f"api {answer.status_code} {answer.text[:200]}")
        if answer.status_code != 200:
            return False
        self.acknowledged.update(keys)
        self.fact_at = time.monotonic()
        return True

    def _read(self) -> None:
        with httpx.Client(base_url=self.product.url, timeout=30, cookies=self._cookies) as client:
            while not self._stop.is_set():
                for path in ("/", "/customers/", "/audiences/", "/insights/board", "/operations/"):
                    self._open(client, path)
                time.sleep(0.3)

    def _open(self, client: httpx.Client, path: str) -> None:
        try:
            answer = client.get(path)
        except httpx.HTTPError as problem:
            self.answers[f"page {type(problem).__name__}"] += 1
            return
        self.answers[f"page {answer.status_code}"] += 1
        if answer.status_code == 200:
            self.page_at = time.monotonic()
        elif answer.status_code != 503 or not any(text in answer.text.lower() for text in CLEAR):
            title = re.search(r"<title>(.*?)</title>", answer.text)
            self.unclear.append(f"{path} {answer.status_code} {title[1] if title else answer.text[:80]}")

    def _log_in(self) -> httpx.Cookies:
        environment = {**os.environ, "HETANG_PASSWORD": PASSWORD}
        command = [sys.executable, "-m", "hetang.cli", "user", "add", "lin", "--home", str(self.product.home)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        with httpx.Client(base_url=self.product.url, headers={"Referer": self.product.url}) as client:
            client.cookies.set("hetang_language", "en")
            client.get("/login")
            form = {"username": "lin", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["hetang_csrf"]}
            entered = client.post("/login", data=form)
            assert entered.status_code == 302, entered.text[:500]
            client.post("/language", data={"language": "en", "csrfmiddlewaretoken": client.cookies["hetang_csrf"]})
            return client.cookies


@contextlib.contextmanager
def working(product: Product) -> Iterator[Work]:
    work = Work(product)
    work.start()
    try:
        time.sleep(2)
        yield work
    finally:
        work.stop()


def outage(size: str) -> None:
    """PostgreSQL dies and cannot start for a while; the engine dies, and hangs."""
    with Product() as product, working(product) as work:
        back: dict[str, list[float]] = {"database": [], "engine": [], "hung": []}
        for _ in range(ROUNDS[size]):
            back["database"].append(_database_away(work, AWAY_S[size]))
            back["engine"].append(_engine_away(work, signal.SIGKILL, AWAY_S[size]))
            back["hung"].append(_engine_away(work, signal.SIGSTOP, AWAY_S[size]))
        work.stop()
        _judge("outage", work)
        for name, seconds in back.items():
            report(f"faults_{name}_back_s", max(seconds), "s", baseline=60, rounds=len(seconds))


def _database_away(work: Work, seconds: float) -> float:
    """Kill it and hide a file without which it cannot start; returns how long it took to come back."""
    data = work.product.home / "postgres"
    control = data / "global" / "pg_control"
    hidden = control.with_name("pg_control.hidden")
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    control.rename(hidden)
    time.sleep(seconds)
    assert _state(work.product) == "down"
    hidden.rename(control)
    return _until_back(work)


def _engine(product: Product) -> psutil.Process:
    """The engine's process; while PostgreSQL was away it may have ended, and is started again."""
    deadline = time.monotonic() + 60
    while True:
        for one in product.processes():
            with contextlib.suppress(psutil.Error):
                if "hetang.cli engine" in " ".join(one.cmdline()):
                    return one
        if time.monotonic() > deadline:
            raise RuntimeError("there was no engine for a minute")
        time.sleep(0.2)


def _engine_away(work: Work, number: signal.Signals, seconds: float) -> float:
    """Kill the engine, or let it hang for a while."""
    engine = _engine(work.product)
    engine.send_signal(number)
    time.sleep(seconds if number == signal.SIGSTOP else 0.2)
    if number == signal.SIGSTOP:
        assert _state(work.product) == "impaired"
        with contextlib.suppress(psutil.NoSuchProcess):
            engine.send_signal(signal.SIGCONT)
    return _until_back(work)


def full(size: str) -> None:
    """The disk of the data fills up until nothing can be written, and is emptied again."""
    with _small_disk() as folder:
        if folder is None:
            print("SKIPPED full: no right to mount a tmpfs here", file=sys.stderr)
            return
        with Product(home=folder / "home") as product, working(product) as work:
            back = []
            for _ in range(ROUNDS[size]):
                ballast = folder / "ballast"
                _fill(ballast)
                time.sleep(AWAY_S[size])
                refused = sum(n for code, n in work.answers.items() if code.startswith("api 5"))
                ballast.unlink()
                back.append(_until_back(work))
            work.stop()
            _judge("disk_full", work, refused=refused)
            report("faults_disk_full_back_s", max(back), "s", baseline=60, rounds=len(back))


@contextlib.contextmanager
def _small_disk() -> Iterator[Path | None]:
    with tempfile.TemporaryDirectory(prefix="hetang-disk-") as name:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m,mode=700", "tmpfs", name],
            check=False,
            capture_output=True,
        )
        if mounted.returncode != 0:
            yield None
            return
        try:
            (Path(name) / "home").mkdir(mode=0o700)
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=False)


def _fill(path: Path) -> None:
    """Take all the space there is, and what is given back in the next second."""
    until = time.monotonic() + 1
    with path.open("ab", buffering=0) as stream:
        while time.monotonic() < until:
            try:
                stream.write(b"\0" * (1 << 20))
            except OSError:
                with contextlib.suppress(OSError):
                    stream.write(b"\0" * 4096)
                time.sleep(0.02)


def clock(size: str) -> None:
    """The clock of all processes jumps forward by an hour and back by two, several times."""
    with tempfile.TemporaryDirectory(prefix="hetang-clock-") as folder:
        library, turned = Path(folder) / "shim.so", Path(folder) / "offset"
        if shutil.which("cc") is None:
            print("SKIPPED clock: no C compiler here", file=sys.stderr)
            return
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SHIM, "-ldl"], check=True)
        turned.write_bytes(struct.pack("l", 0))
        environment = {"LD_PRELOAD": str(library), "CLOCK_SHIM_FILE": str(turned)}
        with Product(environment=environment) as product, working(product) as work:
            back = []
            for offset in (3600, -3600, 0) * ROUNDS[size]:
                with turned.open("r+b") as stream:
                    stream.write(struct.pack("l", offset))
                time.sleep(AWAY_S[size] / 2)
                back.append(_until_back(work))
            work.stop()
            _judge("clock", work)
            report("faults_clock_back_s", max(back), "s", baseline=60, jumps=len(back))


def _until_back(work: Work) -> float:
    """Wait until a page is shown, a fact is taken, all parts are ready and the streams follow."""
    began = time.monotonic()
    conditions: list[Callable[[], bool]] = [
        lambda: work.page_at > began,
        lambda: work.fact_at > began,
        lambda: _state(work.product) == "ready",
    ]
    while not all(condition() for condition in conditions):
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError(f"not back after {PATIENCE_S:.0f} s: {dict(work.answers)} {work.unclear[-3:]}")
        time.sleep(0.1)
    return time.monotonic() - began


def _state(product: Product) -> str:
    try:
        return str(json.loads(httpx.get(f"{product.url}/readyz", timeout=10).text)["state"])
    except (httpx.HTTPError, ValueError):
        return "unknown"


def _judge(name: str, work: Work, **more: object) -> None:
    """Everything acknowledged is there once, is applied, and no page was unclear. Raises AssertionError."""
    from django.db import connection

    from hetang.facts.models import Fact

    connection.close()  # ours broke with the server
    work.product.wait_until_applied(PATIENCE_S)
    kept = list(Fact.objects.filter(source="till").values_list("key", flat=True))
    lost = work.acknowledged - set(kept)
    report(f"faults_{name}_lost", len(lost), "facts", baseline=0, acknowledged=len(work.acknowledged), **more)
    report(f"faults_{name}_twice", len(kept) - len(set(kept)), "facts", baseline=0)
    report(f"faults_{name}_unclear_pages", len(work.unclear), "pages", baseline=0, answers=dict(work.answers))
    assert not lost, sorted(lost)[:5]
    assert len(kept) == len(set(kept))
    if work.unclear:
        log = (work.product.home / "logs" / "web.log").read_text().splitlines()
        print("\n".join(line[-2500:] for line in log if '"ERROR"' in line)[-6000:], file=sys.stderr)
    assert not work.unclear, work.unclear[:10]


SCENARIOS: dict[str, Callable[[str], None]] = {"outage": outage, "full": full, "clock": clock, "tags": kills.tags}


if __name__ == "__main__":
    sys.exit(main())
