"""Public ids: opaque, unguessable, in URLs and the API. Inside, rows have bigint ids and customers dense numbers."""

from __future__ import annotations

import hashlib
import uuid


def public_id() -> uuid.UUID:
    """A new random public id."""
    return uuid.uuid4()


def fact_key_hash(source: str, key: str) -> str:
    """128-bit hash of (source, key) by which a fact is deduplicated for ever, as 32 hex digits (a uuid to PostgreSQL).

    BLAKE2b: two different facts collide with probability under 1e-18 at ten billion facts.
    """
    return hashlib.blake2b(f"{source}\0{key}".encode(), digest_size=16).hexdigest()
