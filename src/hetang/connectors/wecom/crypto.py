"""Signature and cipher of callbacks (`wecom-vectors.md`): checks in the order in which they are safe to make."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_PAD_BLOCK = 32  # PKCS#7 with block 32, not AES's 16
_CIPHER_BLOCK = 16
_HEADER = 20  # 16 random bytes and the length


class CallbackRefused(Exception):
    """The message is not from WeCom for us. The text names the check that failed, never a value."""


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """Lower-case hex SHA-1 of the four strings, sorted by byte value and joined."""
    parts = sorted(part.encode() for part in (token, timestamp, nonce, encrypted))
    return hashlib.sha1(b"".join(parts)).hexdigest()  # noqa: S324 - the platform's protocol


def open_message(token: str, aes_key: str, receive_id: str, *, signed: tuple[str, str, str], encrypted: str) -> str:
    """The clear text. `signed` is (msg_signature, timestamp, nonce) of the query. Raises CallbackRefused."""
    given, timestamp, nonce = signed
    if not hmac.compare_digest(given.encode(), signature(token, timestamp, nonce, encrypted).encode()):
        raise CallbackRefused("signature")
    clear = _unpad(_decrypt(aes_key, encrypted))
    end = _HEADER + int.from_bytes(clear[16:_HEADER], "big")
    if len(clear) < _HEADER or end > len(clear):
        raise CallbackRefused("length")
    if not hmac.compare_digest(clear[end:], receive_id.encode()):
        raise CallbackRefused("receive_id")
    try:
        return clear[_HEADER:end].decode()
    except UnicodeDecodeError:
        raise CallbackRefused("encoding") from None


def seal_message(aes_key: str, message: str, receive_id: str, random16: bytes | None = None) -> str:
    """Encrypt a passive reply. `random16` is for vectors."""
    key = _key(aes_key)
    body = message.encode()
    clear = (random16 or os.urandom(16)) + len(body).to_bytes(4, "big") + body + receive_id.encode()
    missing = _PAD_BLOCK - len(clear) % _PAD_BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:_CIPHER_BLOCK])).encryptor()
    sealed = encryptor.update(clear + bytes([missing]) * missing) + encryptor.finalize()
    return base64.b64encode(sealed).decode()


def _decrypt(aes_key: str, encrypted: str) -> bytes:
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise CallbackRefused("base64") from None
    if not sealed or len(sealed) % _CIPHER_BLOCK:
        raise CallbackRefused("cipher length")
    key = _key(aes_key)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:_CIPHER_BLOCK])).decryptor()
    return decryptor.update(sealed) + decryptor.finalize()


def _unpad(clear: bytes) -> bytes:
    count = clear[-1]
    if not 1 <= count <= _PAD_BLOCK or clear[-count:] != bytes([count]) * count:
        raise CallbackRefused("padding")
    return clear[:-count]


def _key(aes_key: str) -> bytes:
    """43 characters, whose last carries two unused bits: the decoder must not mind them."""
    try:
        key = base64.b64decode(aes_key + "=")
    except (binascii.Error, ValueError):
        raise CallbackRefused("aes key") from None
    if len(key) != 32:
        raise CallbackRefused("aes key")
    return key
