"""Texts and attachments of messages: kinds, limits in bytes, media that must be known (reference 10.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator.apis import media
from hetang.simulator.calls import Call
from hetang.simulator.errors import WeComError

MAX_TEXT_BYTES = 4000
MAX_ATTACHMENTS = 9

# Per kind of attachment: fields with their limits in bytes, and those that must be there.
_FIELDS: dict[str, dict[str, int]] = {
    "image": {"media_id": 200, "pic_url": 2048},
    "link": {"title": 128, "picurl": 2048, "desc": 512, "url": 2048},
    "miniprogram": {"title": 64, "pic_media_id": 200, "appid": 64, "page": 1024},
    "video": {"media_id": 200},
    "file": {"media_id": 200},
}
_NEEDED = {
    "image": (),
    "link": ("title", "url"),
    "miniprogram": ("title", "pic_media_id", "appid", "page"),
    "video": ("media_id",),
    "file": ("media_id",),
}


class Text(msgspec.Struct):
    content: str = ""


def check_message(call: Call, text: Text | None, attachments: list[dict[str, Any]]) -> str:
    """The text of a message whose parts keep the rules. Raises 45002, 40058, 41064, 41065 or 40007."""
    words = check_text(text, MAX_TEXT_BYTES)
    if not words and not attachments:
        raise WeComError(40058, "text and attachments are both empty")
    if len(attachments) > MAX_ATTACHMENTS:
        raise WeComError(41064)
    for attachment in attachments:
        kind = attachment.get("msgtype")
        check_body(call, kind if isinstance(kind, str) else "", attachment.get(str(kind)))
    return words


def check_text(text: Text | None, most_bytes: int) -> str:
    """The text, or "". Raises 45002 above so many bytes of UTF-8."""
    words = text.content if text else ""
    if len(words.encode()) > most_bytes:
        raise WeComError(45002)
    return words


def check_body(call: Call, kind: str, body: Any) -> None:
    """One attachment's body. Raises 41065, 40058 or 40007."""
    if kind not in _FIELDS or not isinstance(body, dict):
        raise WeComError(41065)
    for name in _NEEDED[kind]:
        if not body.get(name):
            raise WeComError(40058, f"{kind}.{name} is empty")
    for name, limit in _FIELDS[kind].items():
        if len(str(body.get(name) or "").encode()) > limit:
            raise WeComError(40058, f"{kind}.{name} is longer than {limit} bytes")
    media_id = body.get("media_id") or body.get("pic_media_id")
    if media_id and not media.usable(call, media_id):
        raise WeComError(40007)
    if kind == "image" and not media_id and not media.uploaded(call, str(body.get("pic_url") or "")):
        raise WeComError(40007)  # what the platform answers to an address that is not its own is not documented
