"""Personal data at rest: sealed (AES-256-GCM) for reading back, keyed hash for finding again.

A sealed value is `key id length (1 byte) + key id + 12-byte nonce + ciphertext`, so keys can be rotated.
The lookup hash is BLAKE2b keyed with a secret of the installation: equal values meet, nobody can enumerate
eleven-digit phone numbers without the key.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hetang.platform.environment import secrets_of_home


def seal(plain: bytes) -> bytes:
    """Encrypt with the current key. About 2 microseconds for short values."""
    current = secrets_of_home()
    key_id = current.sealing_current
    nonce = os.urandom(12)
    name, mark = _named(key_id)
    return mark + nonce + _cipher(current.sealing[key_id]).encrypt(nonce, plain, name)


def unseal(sealed: bytes | memoryview) -> bytes:
    """Decrypt what `seal` made, with whichever key it names.

    Raises `cryptography.exceptions.InvalidTag` if altered, KeyError if its key is gone.
    """
    data = bytes(sealed)
    end = 1 + data[0]
    name = data[1:end]
    return _cipher(_key(name.decode())).decrypt(data[end : end + 12], data[end + 12 :], name)


def current_mark() -> bytes:
    """How every value begins that is sealed with the current key."""
    return _named(secrets_of_home().sealing_current)[1]


def key_of(sealed: bytes | memoryview) -> str:
    """The id of the key that a value was sealed with."""
    data = bytes(sealed)
    return data[1 : 1 + data[0]].decode()


def lookup_key(kind: str, value: str) -> str:
    """Keyed hash (32 hex digits) of a normalised identifier; the same value of another kind hashes differently."""
    return _hashed(secrets_of_home().lookup, kind, value)


def lookup_keys(kind: str, value: str) -> list[str]:
    """All hashes by which an identifier may be known: one, or two while the lookup key is being rotated."""
    current = secrets_of_home()
    return [_hashed(key, kind, value) for key in (current.lookup, current.lookup_other) if key]


def lookup_key_by(key: str, kind: str, value: str) -> str:
    """The hash under one given lookup key."""
    return _hashed(key, kind, value)


def other_lookup_key(kind: str, value: str, key: str) -> str:
    """The hash by which the same identifier is known besides `key`; empty while no lookup key is being rotated."""
    return next((one for one in lookup_keys(kind, value) if one != key), "")


def api_key_hash(plain: str) -> str:
    """Keyed hash (32 hex digits) of an API key, which is not rotated: nobody has its plain text."""
    current = secrets_of_home()
    return _hashed(current.api_keys or current.lookup, "api_key", plain)


def erasure_key(kind: str, value: str) -> str:
    """Keyed hash (32 hex digits) by which the list of erased people knows an identifier, for ever."""
    return _hashed(secrets_of_home().erasure, kind, value)


def _key(key_id: str) -> str:
    known = secrets_of_home().sealing
    return known[key_id] if key_id in known else secrets_of_home(fresh=True).sealing[key_id]


def _hashed(key: str, kind: str, value: str) -> str:
    digest = hashlib.blake2b(digest_size=16, key=_bytes(key))
    digest.update(f"{kind}\0{value}".encode())
    return digest.hexdigest()


@cache
def _named(key_id: str) -> tuple[bytes, bytes]:
    name = key_id.encode()
    return name, bytes([len(name)]) + name


@cache
def _cipher(key: str) -> AESGCM:
    return AESGCM(_bytes(key))


@cache
def _bytes(key: str) -> bytes:
    return bytes.fromhex(key)
