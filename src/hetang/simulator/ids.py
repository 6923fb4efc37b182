"""Ids of the platform's shapes, and the draws of chance: both follow from the seed, so a world can be played again."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def token(prefix: str, seed: int, *parts: object, length: int = 32) -> str:
    """`prefix` and letters drawn from the seed and the parts, `length` characters in all."""
    raw = _digest(seed, *parts)
    return prefix + "".join(_ALPHABET[byte & 63] for byte in raw)[: length - len(prefix)]


def hexadecimal(seed: int, *parts: object) -> str:
    """32 lower-case hex digits drawn from the seed and the parts."""
    return _digest(seed, *parts)[:16].hex()


def chance(seed: int, *parts: object) -> float:
    """A uniform number in [0, 1) that always comes out the same for the same seed and parts."""
    return int.from_bytes(_digest(seed, *parts)[:8], "big") / 2**64


def chances(seed: int, *parts: object) -> tuple[float, float, float, float]:
    """Four independent uniform numbers for the price of one hash (about 2 microseconds)."""
    raw = _digest(seed, *parts)
    first, second, third, fourth = (int.from_bytes(raw[at : at + 8], "big") / 2**64 for at in (0, 8, 16, 24))
    return first, second, third, fourth


def cursor(*position: Any) -> str:
    """An opaque cursor for a position in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def position(text: str) -> list[Any] | None:
    """What `cursor` packed; None for an empty one. Raises ValueError for anything else."""
    if not text:
        return None
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, msgspec.DecodeError) as problem:
        raise ValueError("bad cursor") from problem
    if not isinstance(value, list):
        raise ValueError("bad cursor")
    return value


def _digest(seed: int, *parts: object) -> bytes:
    text = "\0".join(map(str, (seed, *parts)))
    return hashlib.blake2b(text.encode(), digest_size=32).digest()
