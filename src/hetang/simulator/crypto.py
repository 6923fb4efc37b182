"""Signature and cipher of callbacks, from the platform's side (reference `wecom-vectors.md`). Shares nothing with the
connector: the two check each other."""

from __future__ import annotations

import base64
import hashlib
import os
import struct

_BLOCK = 32


def sign(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """SHA-1 over the four strings in byte order, lower-case hex."""
    joined = b"".join(sorted(part.encode() for part in (token, timestamp, nonce, encrypted)))
    return hashlib.sha1(joined).hexdigest()  # noqa: S324 - the platform's protocol


def encrypt(aes_key: str, message: str, receive_id: str, random16: bytes | None = None) -> str:
    """AES-256-CBC over random bytes, length, message and receive id; base64 on one line."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = _key(aes_key)
    body = message.encode()
    clear = (random16 or os.urandom(16)) + struct.pack(">I", len(body)) + body + receive_id.encode()
    pad = _BLOCK - len(clear) % _BLOCK
    worker = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(worker.update(clear + bytes([pad]) * pad) + worker.finalize()).decode()


def decrypt(aes_key: str, encrypted: str) -> tuple[str, str]:
    """(message, receive id): for checking the answer to a URL check and for the vectors."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = _key(aes_key)
    worker = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    clear = worker.update(base64.b64decode(encrypted)) + worker.finalize()
    clear = clear[: -clear[-1]]
    (length,) = struct.unpack(">I", clear[16:20])
    return clear[20 : 20 + length].decode(), clear[20 + length :].decode()


def _key(aes_key: str) -> bytes:
    return base64.b64decode(aes_key + "=")
