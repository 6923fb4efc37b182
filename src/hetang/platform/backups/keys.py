"""The keys of a home, which are never inside a backup: how they are recognised, carried away and brought back.

Without them nobody can read phone numbers and names in a backup; with both lost together nobody can, either. So they
are exported apart, under a passphrase, and belong in another place than the backups.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from hetang.platform.backups.folder import BackupRefused, write_durably

_KIND = "hetang-keys"
_N, _R, _P = 1 << 15, 8, 1  # scrypt: 32 MiB and about 0.1 s a guess
SHORTEST = 12


# What the data depend on; sessions, the engine and the simulator get along with new secrets.
_LASTING = ("lookup", "lookup_other", "api_keys", "audit", "erasure")
_LOOKUPS = ("lookup", "lookup_other")


def fingerprints(secrets: dict[str, Any]) -> dict[str, str]:
    """What tells keys apart without telling them: a short hash of each (they are 256 random bits)."""
    keys = {name: secrets[name] for name in _LASTING if secrets.get(name)}
    keys |= {f"sealing {name}": key for name, key in secrets["sealing"].items()}
    return {name: fingerprint(key) for name, key in keys.items()}


def fingerprint(key: str) -> str:
    """What tells one key apart from others."""
    return hashlib.sha256(f"hetang key {key}".encode()).hexdigest()[:16]


def of_home(home: Path) -> dict[str, Any]:
    """The secrets of a home as they lie in `secrets.json`. Raises BackupRefused if there are none."""
    try:
        found: dict[str, Any] = json.loads((home / "secrets.json").read_text())
    except FileNotFoundError:
        raise BackupRefused(f"{home} has no secrets.json; is it a data directory of Hetang?") from None
    return found


def export(home: Path, target: Path, passphrase: str) -> None:
    """Write the keys to `target`, encrypted under a passphrase of at least 12 characters."""
    if len(passphrase) < SHORTEST:
        raise BackupRefused(f"the passphrase must have at least {SHORTEST} characters")
    if target.exists():
        raise BackupRefused(f"{target} exists already; keys are never overwritten")
    salt, nonce = os.urandom(16), os.urandom(12)
    plain = json.dumps(of_home(home)).encode()
    content = {
        "kind": _KIND,
        "salt": base64.b64encode(salt).decode(),
        "nonce": base64.b64encode(nonce).decode(),
        "sealed": base64.b64encode(_cipher(passphrase, salt).encrypt(nonce, plain, _KIND.encode())).decode(),
    }
    write_durably(target, json.dumps(content, indent=1) + "\n")


def read(path: Path, passphrase: str = "") -> dict[str, Any]:
    """The keys in an export, or in a plain `secrets.json`. Raises BackupRefused when the passphrase is wrong."""
    from cryptography.exceptions import InvalidTag

    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise BackupRefused(f"there is no file {path}") from None
    except ValueError:
        raise BackupRefused(f"{path} is no file of keys") from None
    if "sealing" in content:
        return content
    if content.get("kind") != _KIND:
        raise BackupRefused(f"{path} is no file of keys")
    salt, nonce, sealed = (base64.b64decode(content[name]) for name in ("salt", "nonce", "sealed"))
    try:
        opened: dict[str, Any] = json.loads(_cipher(passphrase, salt).decrypt(nonce, sealed, _KIND.encode()))
    except InvalidTag:
        raise BackupRefused(f"the passphrase does not open {path}") from None
    return opened


def is_sealed(path: Path) -> bool:
    """Whether a file of keys needs a passphrase."""
    try:
        return bool(json.loads(path.read_text()).get("kind") == _KIND)
    except (OSError, ValueError, AttributeError):
        return False


def missing(needed: dict[str, str], secrets: dict[str, Any]) -> list[str]:
    """Names of the keys that a backup needs and that these secrets do not hold.

    A lookup key of the past is held as well: the restored database says which one is its own.
    """
    held = fingerprints(secrets)
    lookups = {fingerprint(key) for key in lookups_of(secrets)}
    return [
        name
        for name, value in needed.items()
        if not (value in lookups if name in _LOOKUPS else held.get(name) == value)
    ]


def lookups_of(secrets: dict[str, Any]) -> list[str]:
    """Every lookup key that these secrets hold, the current one first."""
    named = [secrets.get("lookup", ""), secrets.get("lookup_other", ""), *secrets.get("lookup_past", [])]
    return [key for key in dict.fromkeys(named) if key]


def install(home: Path, secrets: dict[str, Any]) -> None:
    """Make these the secrets of a home."""
    write_durably(home / "secrets.json", json.dumps(secrets, indent=1))


def _cipher(passphrase: str, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = hashlib.scrypt(passphrase.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20, dklen=32)
    return AESGCM(key)
