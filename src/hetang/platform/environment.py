"""What the process was told by its environment: the data directory, the servers, the secrets.

All mutable state lives below one directory, the *home* (`HETANG_HOME`, `--home`). Secrets are created
once in `home/secrets.json` (mode 0600) and never travel through a command line or a log.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DEFAULT_HOME = Path.home() / ".hetang"


@dataclass(frozen=True)
class Secrets:
    """Keys of one installation. `sealing` maps a key id to 32 bytes in hex; `sealing_current` names the one in use."""

    django: str
    lookup: str
    sealing: dict[str, str]
    sealing_current: str
    engine: str
    simulator: str


@cache
def home() -> Path:
    """The data directory. Children get it from the supervisor through `HETANG_HOME`."""
    return Path(os.environ.get("HETANG_HOME", str(DEFAULT_HOME))).expanduser().resolve()


def ensure_home() -> Path:
    """Create the home and its folders, private to this user."""
    root = home()
    for folder in (root, root / "files", root / "run", root / "logs", root / "sets", root / "static"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return root


@cache
def secrets_of_home() -> Secrets:
    """Read the secrets of this home, creating them on first use (atomically: two processes agree on one file)."""
    path = ensure_home() / "secrets.json"
    if not path.exists():
        _create_secrets(path)
    return Secrets(**json.loads(path.read_text()))


def _create_secrets(path: Path) -> None:
    values = {
        "django": secrets.token_urlsafe(48),
        "lookup": secrets.token_hex(32),
        "sealing": {"1": secrets.token_hex(32)},
        "sealing_current": "1",
        "engine": secrets.token_urlsafe(32),
        "simulator": secrets.token_urlsafe(32),
    }
    draft = path.with_name(f"secrets.{os.getpid()}.json")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(values, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)  # fails if another process was first: its secrets count
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def database_url() -> str:
    """PostgreSQL as a libpq URL; set by the supervisor to the embedded server's socket unless the operator set it."""
    return os.environ.get("HETANG_DATABASE_URL", "")


def clickhouse_urls() -> list[str]:
    """Base URLs of the ClickHouse shards (HTTP); the embedded engine's own address by default."""
    return [url for url in os.environ.get("HETANG_CLICKHOUSE_URL", "").split(",") if url]


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
