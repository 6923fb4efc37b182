"""Notices by webhook: signed JSON for systems, or a line of text for the robot of an internal group.

`X-Hetang-Signature` is `v1=` and the HMAC-SHA256, in hex, of timestamp, a full stop and the body. A receiver refuses
old timestamps and drops an `Idempotency-Key` that it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

from hetang import __version__
from hetang.operations import configured
from hetang.operations.errors import NotDelivered
from hetang.operations.messages import Message
from hetang.platform import outgoing

SIGNED, ROBOT, FEISHU = "signed", "robot", "feishu"
_WAIT = frozenset({408, 425, 429})


def is_set() -> bool:
    """Whether there is an address."""
    return bool(configured.text("notify.webhook_url"))


def send(message: Message) -> None:
    """Post the message. Raises NotDelivered; permanent when the address may not be called or refuses the message."""
    form = configured.text("notify.webhook_form")
    body = json.dumps(_body(form, message), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Hetang/{__version__}",
        "Idempotency-Key": message.key,
    }
    if form == SIGNED:
        headers |= signature(configured.text("notify.webhook_secret"), body, int(time.time()))
    try:
        answer = outgoing.post(
            configured.text("notify.webhook_url"), body, headers, configured.several("notify.webhook_networks")
        )
    except outgoing.Forbidden as problem:
        raise NotDelivered(problem.code, permanent=True) from None
    except outgoing.Unreachable:
        raise NotDelivered("unreachable") from None
    if not 200 <= answer.status < 300:
        lasting = 300 <= answer.status < 500 and answer.status not in _WAIT
        raise NotDelivered(f"answer_{answer.status}", permanent=lasting)
    if form != SIGNED:
        _check_robot(answer.body)


def signature(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers by which a receiver knows that the body is ours; without a secret only the time."""
    headers = {"X-Hetang-Timestamp": str(timestamp)}
    if secret:
        digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers["X-Hetang-Signature"] = f"v1={digest}"
    return headers


def _body(form: str, message: Message) -> dict[str, Any]:
    text = f"{message.subject}\n\n{message.text}"
    if form == ROBOT:
        return {"msgtype": "text", "text": {"content": text}}
    if form == FEISHU:
        return {"msg_type": "text", "content": {"text": text}}
    return message.data


def _check_robot(body: bytes) -> None:
    """Robots answer 200 with a code in the body; what is not 0 was not taken."""
    try:
        told = json.loads(body)
    except ValueError:
        return
    code = told.get("errcode", told.get("code", 0)) if isinstance(told, dict) else 0
    if code:
        raise NotDelivered(f"answer_{code}")
