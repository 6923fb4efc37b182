"""Tokens of links that hold until a time: nobody can make or change one without the key of this home.

A token says what it was made for, so that one kind of link never opens another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from datetime import UTC, datetime

from hetang.platform import clock
from hetang.platform.environment import secrets_of_home

_UNTIL = struct.Struct(">I")
_MAC_BYTES = 16


def make(purpose: str, body: bytes, until: datetime) -> str:
    """A token that carries `body` (readable by whoever has it) until a time, by the wall clock. URL-safe."""
    content = _UNTIL.pack(int(until.timestamp())) + body
    return base64.urlsafe_b64encode(content + _mac(purpose, content)).decode().rstrip("=")


def read(purpose: str, token: str) -> bytes | None:
    """The body of a token of this purpose; None when it is forged, of another purpose, or over."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    content, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if len(content) < _UNTIL.size or not hmac.compare_digest(mac, _mac(purpose, content)):
        return None
    until = datetime.fromtimestamp(_UNTIL.unpack_from(content)[0], UTC)
    return content[_UNTIL.size :] if clock.wall() < until else None


def _mac(purpose: str, content: bytes) -> bytes:
    key = bytes.fromhex(secrets_of_home().links)
    return hmac.new(key, purpose.encode() + b"\0" + content, hashlib.sha256).digest()[:_MAC_BYTES]
