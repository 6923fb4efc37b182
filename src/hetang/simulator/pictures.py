"""Pictures that the simulator serves: QR codes that lead to its own page, and coloured squares for avatars."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

_SIDE = 96


def draw(kind: str, name: str, base: str) -> bytes | None:
    """A PNG for `/pictures/<kind>/<name>.png`; `base` is the simulator's address. None for an unknown kind."""
    if kind in {"contact", "join"}:
        return _code(f"{base}/play?config_id={name}")
    if kind in {"avatar", "app", "media"}:
        return _square(name)
    return None


def _code(text: str) -> bytes:
    import segno

    out = io.BytesIO()
    segno.make(text, micro=False).save(out, kind="png", scale=6)
    return out.getvalue()


def _square(name: str) -> bytes:
    """One colour that follows from the name: enough to tell avatars apart."""
    colour = hashlib.blake2b(name.encode(), digest_size=3).digest()
    row = b"\0" + colour * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(row * _SIDE)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
