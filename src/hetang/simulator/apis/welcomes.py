"""Welcome messages to new customers (reference section 11): twenty seconds, one use."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import welcome
from hetang.simulator.apis.content import Text, check_message
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError


class Welcome(msgspec.Struct):
    welcome_code: str = ""
    text: Text | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)


@api("externalcontact/send_welcome_msg", "POST", Welcome)
def send_welcome_msg(call: Call, request: Welcome) -> dict[str, Any]:
    if not request.welcome_code:
        raise WeComError(41049)
    words = check_message(call, request.text, request.attachments)
    row = call.db.execute(
        "select w.*, r.received + r.written spoken, r.state from welcome_code w"
        " left join relation r using (userid, external_userid) where w.code = ?",
        [request.welcome_code],
    ).fetchone()
    if row is None or not 0 <= call.now - row["at"] <= welcome.LIFE_S:
        raise WeComError(41050)
    if row["used_at"] is not None or row["spoken"]:
        raise WeComError(41051)
    call.db.execute(
        "update welcome_code set used_at = ?, text = ?, attachments = ?, agentid = ? where code = ?",
        [call.now, words, msgspec.json.encode(request.attachments).decode(), call.agentid, request.welcome_code],
    )
    return {}
