"""The parent of all processes of one home: starts them, starts them again when they crash, stops them in order.

It imports neither Django nor a database driver, so it costs some 20 MB. Children ask the kernel to be told when it
dies; what still lives from an earlier run is ended (or, for PostgreSQL, adopted) at the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hetang.platform import children, environment, log_files, ports, postgres, registry_values, signals
from hetang.platform.backups import archive

STOP_S = 25.0  # web finishes its requests, the worker hands its jobs back
WEB_PORT = 8000
_LONGEST_BACKOFF_S = 30.0
_STABLE_S = 60.0  # after so long without a crash the backoff starts anew
_ANSWER_S = 60.0
_LOGS_EVERY_S = 10.0
_ASK_EVERY_S = 10.0
# Of the web process longer: slow uploads may hold all its threads, and nothing is wrong.
_ENGINE_SILENCE_S, _WEB_SILENCE_S = 120.0, 300.0
_LEFTOVER_S = 25.0


class Refused(environment.Unusable):
    """The product cannot start as asked; the message says why and what to do."""


@dataclass
class Child:
    """One process to keep alive."""

    name: str
    command: list[str]
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    start_at: float = 0.0
    ask: str = ""  # an address that answers while the process works
    patience: float = 0.0
    heard: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What to run. `port` None means: the usual one, or a free one if that is taken. A demo has a simulator, too."""

    home: Path
    host: str = "127.0.0.1"
    port: int | None = None
    demo: bool = False
    simulator: bool = False

    @property
    def simulated(self) -> bool:
        """Whether the simulated WeCom runs along."""
        return self.demo or self.simulator


@dataclass
class Supervisor:
    """Runs one home until it is told to stop."""

    plan: Plan
    log: Path = field(init=False)
    stopping: signals.Flag = field(default_factory=signals.Flag)

    def __post_init__(self) -> None:
        self._children: list[Child] = []
        self._postgres: postgres.Server | None = None
        self._postgres_start_at = 0.0
        self._postgres_crashes = 0
        self._wake = signals.Flag()
        self._impatient = 0
        self._logs_looked_at = 0.0
        self._asked_at = 0.0
        self._public: tuple[str, int] | None = None
        self.ports: dict[str, int] = {}

    @property
    def address(self) -> str:
        """Where people reach the console."""
        return _address(self.plan.host, self.ports["web"])

    def run(self) -> int:
        """Start everything, keep it alive, stop it on SIGTERM, SIGINT or SIGHUP. Returns the exit code."""
        with only_one(self.plan.home):
            _refuse_unfinished(self.plan.home)
            self._hear_signals()
            _end_leftovers(self.plan.home)
            try:
                self._start()
                while not self.stopping.is_set():
                    self._look_after()
                    self._wake.wait(1.0)
                    self._wake.clear()
            finally:
                self.stop()
        return 0

    def _start(self) -> None:
        self._public = _public_listener()
        self._choose_ports()
        env = self._environment()
        _say(f"data directory {self.plan.home}")
        self._prepare(env, demo=self.plan.demo)
        if self.stopping.is_set():
            return
        self._children = self._plan_children(env)
        for child in self._children:
            self._launch(child)
        self._wait_for_console()

    def start_servers(self) -> dict[str, str]:
        """Start the stores and the simulator, wait for the engine; returns the environment of their clients."""
        self._choose_ports()
        env = self._environment()
        self._prepare(env, demo=False, output=sys.stderr.fileno())
        self._children = [child for child in self._plan_children(env) if child.name in ("engine", "simulator")]
        for child in self._children:
            self._launch(child)
        deadline = time.monotonic() + _ANSWER_S
        while not all(answers(f"http://127.0.0.1:{self.ports[child.name]}/ping") for child in self._children):
            if time.monotonic() > deadline:
                raise Refused(f"the engine did not answer; see {log_files.of(self.plan.home, 'engine')}")
            time.sleep(0.05)
        return env

    def _choose_ports(self) -> None:
        home = self.plan.home
        self.ports = {"web": _web_port(self.plan), "engine": ports.internal(home, "engine")}
        if self.plan.simulated:
            self.ports["simulator"] = ports.internal(home, "simulator")
        ports.remember(home, self.ports)

    def _environment(self) -> dict[str, str]:
        engine = f"http://127.0.0.1:{self.ports['engine']}"
        env = {
            **os.environ,
            "HETANG_HOME": str(self.plan.home),
            "HETANG_SETS_URL": engine,
            "HETANG_CLICKHOUSE_URL": os.environ.get("HETANG_CLICKHOUSE_URL") or engine,
            "HETANG_WEB_URL": os.environ.get("HETANG_WEB_URL") or self.address.rstrip("/"),
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",  # threads that come and go would each keep an arena of their own
        }
        env.setdefault("HETANG_PUBLIC_URL", self._public_address() or env["HETANG_WEB_URL"])  # where short links lead
        if self.plan.demo:
            env["HETANG_DEMO"] = "1"
        if self.plan.simulated:
            env["HETANG_SIMULATOR_URL"] = f"http://127.0.0.1:{self.ports['simulator']}"
        if not env.get("HETANG_DATABASE_URL"):
            self._postgres = postgres.start(self.plan.home, archive.server_settings)
            env["HETANG_DATABASE_URL"] = self._postgres.url
        return registry_values.note_chosen(env, os.environ)

    def _public_address(self) -> str:
        host, port = self._public or ("", 0)
        return f"http://{host}:{port}" if host and host not in {"0.0.0.0", "::"} else ""  # noqa: S104

    def _prepare(self, env: dict[str, str], *, demo: bool, output: int | None = None) -> None:
        """Migrations of an empty home, static files, demo users: in a process of its own, which takes Django along."""
        command = [*_hetang("prepare"), *(["--demo"] if demo else [])]
        process = children.spawn(command, env=env, log=output)
        while process.poll() is None:
            if self.stopping.is_set():
                process.terminate()
            time.sleep(0.02)
        if process.returncode != 0 and not self.stopping.is_set():
            raise Refused(f"preparing {self.plan.home} failed; `hetang doctor --home {self.plan.home}` looks closer")

    def _plan_children(self, env: dict[str, str]) -> list[Child]:
        engine_env = {**env, "HETANG_CLICKHOUSE_URL": os.environ.get("HETANG_CLICKHOUSE_URL", "")}
        web = _hetang("web", "--host", self.plan.host, "--port", str(self.ports["web"]))
        planned = [
            Child("engine", _hetang("engine", "--port", str(self.ports["engine"])), engine_env),
            Child("web", web, {**env, "HETANG_LISTENER": "internal" if self._public else "both"}),
            Child("worker", _hetang("worker"), env),
        ]
        planned[0].ask, planned[0].patience = f"http://127.0.0.1:{self.ports['engine']}/ping", _ENGINE_SILENCE_S
        planned[1].ask, planned[1].patience = f"{self.address}healthz", _WEB_SILENCE_S
        if self._public:
            host, port = self._public
            public = _hetang("web", "--host", host, "--port", str(port))
            planned.append(Child("public", public, {**env, "HETANG_LISTENER": "public"}))
            planned[-1].ask, planned[-1].patience = f"{_address(host, port)}healthz", _WEB_SILENCE_S
        if self.plan.simulated:
            planned.append(Child("simulator", _hetang("simulate", "--port", str(self.ports["simulator"])), env))
        return planned

    def _launch(self, child: Child) -> None:
        child.started = child.heard = time.monotonic()
        path = log_files.of(self.plan.home, child.name)
        try:
            with path.open("ab") as stream:
                env = {**child.env, "HETANG_PROCESS": child.name}
                child.process = children.spawn(child.command, env=env, log=stream)
            _remember_children(self.plan.home, self._children)
        except OSError as problem:  # a full disk must not end the supervisor, too
            _say(f"{child.name}: {problem}")
            child.start_at = child.started + _LONGEST_BACKOFF_S / 3

    def _look_after(self) -> None:
        now = time.monotonic()
        self._look_after_postgres(now)
        self._look_after_answers(now)
        self._look_after_logs(now)
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_crash(child, child.process.returncode, now)
            if child.process is None and now >= child.start_at:
                self._launch(child)

    def _look_after_answers(self, now: float) -> None:
        """End a process that lives and has not answered for long: the next look finds it dead and starts it again."""
        if now - self._asked_at < _ASK_EVERY_S:
            return
        self._asked_at = now
        for child in self._children:
            if not child.ask or child.process is None:
                continue
            if lives(child.ask):
                child.heard = time.monotonic()
            elif time.monotonic() - child.heard > child.patience:
                _say(f"{child.name} has not answered for {child.patience:.0f} s and is ended")
                child.process.kill()

    def _note_crash(self, child: Child, code: int, now: float) -> None:
        child.crashes = 1 if now - child.started > _STABLE_S else child.crashes + 1
        pause = _backoff(child.crashes)
        child.start_at = now + pause
        _say(
            f"{child.name} ended ({_how(code)}), starting again in {pause:.1f} s"
            f" (log: {log_files.of(self.plan.home, child.name)})"
        )
        child.process = None

    def _look_after_postgres(self, now: float) -> None:
        if self._postgres is None or self._postgres.alive() or now < self._postgres_start_at:
            return
        if self._postgres.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # a new one refuses to start beside a zombie
                self._postgres.process.wait(5)
        _say("PostgreSQL ended, starting it again")
        try:
            self._postgres = postgres.start(self.plan.home, archive.server_settings)
            self._postgres_crashes = 0
        except (postgres.EmbeddedServerError, OSError) as problem:
            self._postgres_crashes += 1
            self._postgres_start_at = now + _backoff(self._postgres_crashes)
            _say(str(problem))

    def _look_after_logs(self, now: float) -> None:
        if now - self._logs_looked_at < _LOGS_EVERY_S:
            return
        self._logs_looked_at = now
        try:
            log_files.rotate_all(self.plan.home)
        except OSError as problem:
            _say(f"logs were not put aside: {problem}")

    def _wait_for_console(self) -> None:
        deadline = time.monotonic() + _ANSWER_S
        while not answers(f"{self.address}login") and not self.stopping.is_set():
            self._look_after()
            if time.monotonic() > deadline:
                _say(f"the console does not answer yet; see {log_files.of(self.plan.home, 'web')}")
                return
            time.sleep(0.05)
        if not self.stopping.is_set():
            _say(f"Hetang is ready 荷塘已启动: {self.address}")

    def stop(self) -> None:
        """Those who write first, then the stores. A second signal makes it short."""
        _say("stopping")
        writers = [child for child in self._children if child.name != "engine"]
        self._end(writers)
        self._end([child for child in self._children if child.name == "engine"])
        if self._postgres is not None:
            self._postgres.stop()
        with contextlib.suppress(FileNotFoundError):
            _children_file(self.plan.home).unlink()
        _say("stopped")

    def _end(self, some: list[Child]) -> None:
        running = [child.process for child in some if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in running:
            while process.poll() is None:
                if time.monotonic() > deadline or self._impatient > 1:
                    process.kill()
                time.sleep(0.02)

    def _hear_signals(self) -> None:
        def stop(*_: object) -> None:
            self._impatient += 1
            self.stopping.set()
            self._wake.set()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        signal.signal(signal.SIGCHLD, lambda *_: self._wake.set())


@contextlib.contextmanager
def servers(home: Path, *, simulator: bool = False) -> Iterator[None]:
    """The stores of a home (and the simulator) without web and worker, for a check or a benchmark in this process.

    Schema and static files are made; this process finds everything through its environment, so call this before
    `django.setup()`. A server that crashes is not started again.
    """
    supervisor = Supervisor(Plan(home, demo=simulator))
    with only_one(home):
        _refuse_unfinished(home)
        _end_leftovers(home)
        try:
            env = supervisor.start_servers()
            kept = {name: value for name, value in env.items() if name.startswith("HETANG_")}
            os.environ.update(kept)
            yield
        finally:
            supervisor.stop()


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold this home alone. Raises Refused, naming the process that has it, if another one does."""
    path = home / "run" / "up.lock"
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            holder = stream.read().strip()
            raise Refused(
                f"Hetang already runs on {home} (process {holder}); stop that one, or choose another --home"
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def answers(url: str) -> bool:
    """Whether anything answers at `url`, even with an error page."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError as refused:
        refused.close()
        return bool(refused.code < 500)
    except OSError:
        return False


def lives(url: str) -> bool:
    """Whether anything at all comes back from `url`: a process that says that it is starting lives, too."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError as refused:
        refused.close()
        return True
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def database(home: Path) -> Iterator[str]:
    """URL of this home's PostgreSQL for a short command; started for it, and stopped again, if nothing runs."""
    if url := environment.database_url():
        yield url
        return
    server = postgres.start(home, archive.server_settings)
    try:
        yield server.url
    finally:
        if server.process is not None:
            server.stop()


def _refuse_unfinished(home: Path) -> None:
    from hetang.platform.backups import restore

    if problem := restore.unfinished(home):
        raise Refused(problem)


def _web_port(plan: Plan) -> int:
    if plan.port is not None:
        if problem := ports.obstacle(plan.port, plan.host):
            raise Refused(f"{problem}; choose another --port or --host")
        return plan.port
    usual = ports.remembered(plan.home).get("web", WEB_PORT)  # short links that are out name the port of last time
    candidates: list[int] = [usual, *range(WEB_PORT, WEB_PORT + 100)]
    for port in candidates:
        if ports.is_free(port, plan.host):
            if port != usual:
                _say(f"port {usual} is taken, using {port}")
            return port
    reason = ports.obstacle(usual, plan.host)
    raise Refused(f"no port from {WEB_PORT} to {WEB_PORT + 99} can be used: {reason}; choose another --port or --host")


def _public_listener() -> tuple[str, int] | None:
    """Host and port of the public listener, if there is to be one."""
    told = str(registry_values.from_environment("web.public_listen"))
    if not told:
        return None
    host, _, port = told.rpartition(":")
    host = host.strip("[]")
    if problem := ports.obstacle(int(port), host):
        raise Refused(f"HETANG_PUBLIC_LISTEN is {told}, but {problem}; choose another")
    return host, int(port)


def _address(host: str, port: int) -> str:
    """Where one who listens on `host` is reached from this machine."""
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{shown}:{port}/"


def _hetang(*arguments: str) -> list[str]:
    return children.python("hetang.cli", *arguments)


def _backoff(crashes: int) -> float:
    return float(min(0.2 * 2 ** (crashes - 1), _LONGEST_BACKOFF_S))


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _children_file(home: Path) -> Path:
    return home / "run" / "children.json"


def _remember_children(home: Path, some: list[Child]) -> None:
    """Process ids with their start times, for a next start after `kill -9`."""
    known = {
        child.process.pid: children.started(child.process.pid)
        for child in some
        if child.process is not None and child.process.poll() is None
    }
    draft = _children_file(home).with_suffix(".new")
    draft.write_text(json.dumps(known))
    draft.replace(_children_file(home))


def _end_leftovers(home: Path) -> None:
    """Wait for children of a killed supervisor to go (they were told by the kernel); kill them if they stay."""
    try:
        known = json.loads(_children_file(home).read_text())
    except (FileNotFoundError, ValueError):
        return
    deadline = time.monotonic() + _LEFTOVER_S
    for pid, started in ((int(pid), started) for pid, started in known.items()):
        while started and children.started(pid) == started:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            time.sleep(0.05)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
