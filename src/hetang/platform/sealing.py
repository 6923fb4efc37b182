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
    key_id = secrets_of_home().sealing_current
    nonce = os.urandom(12)
    name = key_id.encode()
    return bytes([len(name)]) + name + nonce + _cipher(key_id).encrypt(nonce, plain, name)


def unseal(sealed: bytes | memoryview) -> bytes:
    """Decrypt what `seal` made, with whichever key it names. Raises `cryptography.exceptions.InvalidTag` if altered."""
    data = bytes(sealed)
    end = 1 + data[0]
    name = data[1:end]
    return _cipher(name.decode()).decrypt(data[end : end + 12], data[end + 12 :], name)


def lookup_key(kind: str, value: str) -> str:
    """Keyed hash (32 hex digits) of a normalised identifier; the same value of another kind hashes differently."""
    digest = hashlib.blake2b(digest_size=16, key=_lookup_secret())
    digest.update(f"{kind}\0{value}".encode())
    return digest.hexdigest()


@cache
def _cipher(key_id: str) -> AESGCM:
    return AESGCM(bytes.fromhex(secrets_of_home().sealing[key_id]))


@cache
def _lookup_secret() -> bytes:
    return bytes.fromhex(secrets_of_home().lookup)
