"""What the process was told by its environment: the data directory, the servers, the secrets.

All mutable state lives below one directory, the *home* (`HETANG_HOME`, `--home`). Secrets are created
once in `home/secrets.json` (mode 0600) and never travel through a command line or a log. Keys are rotated while the
product runs: every process looks at the file again within `RELOAD_S` and takes what changed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_HOME = Path.home() / ".hetang"
RELOAD_S = 1.0


@dataclass(frozen=True)
class Secrets:
    """Keys of one installation, each 32 bytes in hex where nothing else is said.

    `sealing` maps a key id to a key, `sealing_current` names the one that seals. `lookup` hashes identifiers;
    `lookup_other` is the second lookup key while that is being rotated, else empty; `lookup_past` are those that older
    backups need. `api_keys` hashes API keys once the first lookup key, which did so before, is gone. `audit` signs the
    seals of the audit log, `erasure` hashes the list of erased people and is never rotated: nothing is left to hash
    anew.
    """

    django: str
    lookup: str
    sealing: dict[str, str]
    sealing_current: str
    engine: str
    simulator: str
    audit: str
    erasure: str
    links: str
    lookup_other: str = ""
    lookup_past: list[str] = field(default_factory=list)
    api_keys: str = ""


class Unusable(Exception):
    """The data directory or a setting of the environment cannot be used; the message says what to do."""


@cache
def home() -> Path:
    """The data directory. Children get it from the supervisor through `HETANG_HOME`."""
    return Path(os.environ.get("HETANG_HOME", str(DEFAULT_HOME))).expanduser().resolve()


def public_url() -> str:
    """Where customers and WeCom reach this installation, without a slash at its end; empty when nobody said so. The
    supervisor names the console's own address to its children where there is no other."""
    return os.environ.get("HETANG_PUBLIC_URL", "").rstrip("/")


_FULL = (errno.ENOSPC, errno.EDQUOT)


def ensure_home() -> Path:
    """Create the home and its folders, private to this user. Raises Unusable."""
    root = home()
    try:
        for folder in (root, root / "files", root / "run", root / "logs", root / "sets", root / "static"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as problem:
        raise Unusable(why_unusable(root, problem)) from problem
    return root


def why_unusable(root: Path, problem: OSError) -> str:
    """What is wrong with a data directory, and the way out."""
    if problem.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{root} is a file, or lies below one; name another data directory with --home"
    if problem.errno in (errno.EACCES, errno.EPERM):
        return (
            f"this user may not write to {problem.filename}; run as the user that owns it,"
            " or name another data directory with --home"
        )
    if problem.errno in _FULL:
        return f"no space is left for {root}; free some, or name another data directory with --home"
    return f"the data directory {root} cannot be used: {problem}"


def place_unusable(problem: OSError) -> str:
    """What is wrong with a place that a command was to use, and the way out; empty when it is something else."""
    if problem.filename is None and problem.errno not in _FULL:
        return ""
    place = problem.filename or "what was to be written"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"this user may not use {place}; run as the user that owns it, or name another place"
    if problem.errno in _FULL:
        return f"no space is left for {place}; free some, or name a place on another disk"
    if problem.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{place} is a file, or lies below one; name another place"
    if problem.errno == errno.ENOENT:
        return f"{place} does not exist; name another place"
    return ""


class _Cached:
    """The secrets as this process last read them."""

    value: Secrets | None = None
    stamp: tuple[int, int, int] = (0, 0, 0)
    looked_at = float("-inf")


def secrets_of_home(*, fresh: bool = False) -> Secrets:
    """The secrets of this home, created on first use. A change is noticed within `RELOAD_S`, at once if `fresh`."""
    if _Cached.value is None or fresh or time.monotonic() - _Cached.looked_at > RELOAD_S:
        path = ensure_home() / "secrets.json"
        if not path.exists():
            _create_secrets(path)
        stamp = _stamp(path)
        if _Cached.value is None or stamp != _Cached.stamp:
            _Cached.value, _Cached.stamp = _read_secrets(path), stamp
        _Cached.looked_at = time.monotonic()
    return _Cached.value


def forget_secrets() -> None:
    """Drop what was read (another home in the same process: benchmarks, tests)."""
    _Cached.value = None


def change_secrets(change: Callable[[dict[str, Any]], None]) -> Secrets:
    """Rewrite the file durably and atomically; two changes at a time wait for each other. Returns the new secrets."""
    path = ensure_home() / "secrets.json"
    with _only_writer(path):
        values = json.loads(path.read_text())
        change(values)
        draft = _draft(path, values)
        draft.replace(path)
        _sync_folder(path.parent)
    return secrets_of_home(fresh=True)


def _stamp(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_ino, about.st_mtime_ns, about.st_size


def _read_secrets(path: Path) -> Secrets:
    """Secrets that later versions added are made when an older file is read. Raises Unusable for a damaged file."""
    try:
        values = json.loads(path.read_text())
        if not set(_NEW) <= set(values) and set(_FIRST) <= set(values):
            with _only_writer(path):
                values = {**{name: make() for name, make in _NEW.items()}, **json.loads(path.read_text())}
                _draft(path, values).replace(path)
        return Secrets(**values)
    except OSError as problem:
        raise Unusable(why_unusable(path.parent, problem)) from problem
    except (ValueError, TypeError) as problem:
        raise Unusable(f"{path} is damaged; put the file back from a backup") from problem


_NEW: dict[str, Callable[[], Any]] = {
    "django": lambda: secrets.token_urlsafe(48),
    "lookup": lambda: secrets.token_hex(32),
    "sealing": lambda: {"1": secrets.token_hex(32)},
    "sealing_current": lambda: "1",
    "engine": lambda: secrets.token_urlsafe(32),
    "simulator": lambda: secrets.token_urlsafe(32),
    "audit": lambda: secrets.token_hex(32),
    "erasure": lambda: secrets.token_hex(32),
    "links": lambda: secrets.token_hex(32),
}
# A file without these is no older one but a damaged one: new keys would make what is sealed unreadable for good.
_FIRST = ("django", "lookup", "sealing", "sealing_current", "engine", "simulator")


def require_secrets() -> Secrets:
    """The secrets before anything else starts: raises Unusable also when they are missing beside a database."""
    path = home() / "secrets.json"
    if (home() / "postgres" / "PG_VERSION").exists() and not path.exists():
        raise Unusable(
            f"{path} is missing: without its keys the personal data in this directory cannot be read;"
            " put the file back from a backup"
        )
    return secrets_of_home()


def _create_secrets(path: Path) -> None:
    draft = _draft(path, {name: make() for name, make in _NEW.items()})
    try:
        os.link(draft, path)  # fails if another process was first: its secrets count
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(path: Path, values: dict[str, Any]) -> Path:
    draft = path.with_name(f"secrets.{secrets.token_hex(4)}.json")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(values, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    return draft


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    with path.with_name("secrets.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def database_url() -> str:
    """PostgreSQL as a libpq URL; set by the supervisor to the embedded server's socket unless the operator set it.

    Raises Unusable for what is no such URL; the message never repeats it, since it may hold a password.
    """
    url = os.environ.get("HETANG_DATABASE_URL", "")
    if url and not _is_database_url(url):
        raise Unusable("HETANG_DATABASE_URL must read like postgresql://user:password@host:5432/database")
    return url


def _is_database_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("postgresql", "postgres") and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def clickhouse_urls() -> list[str]:
    """Base URLs of the ClickHouse shards (HTTP); the embedded engine's own address by default."""
    return [url.strip() for url in os.environ.get("HETANG_CLICKHOUSE_URL", "").split(",") if url.strip()]


def sets_url() -> str:
    """Base URL of the engine process's set service."""
    return os.environ.get("HETANG_SETS_URL", "")


def flag(name: str, default: bool = False) -> bool:
    """A yes/no environment variable; anything but the listed words is refused loudly."""
    value = os.environ.get(name)
    if value is None or value == "":
        return default
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"{name} must be yes or no, not {value!r}")
