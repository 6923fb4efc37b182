"""People who open an account of WeChat customer service and write to it."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import kf
from hetang.simulator.administration import Running, admin, convert


class Entering(msgspec.Struct):
    open_kfid: str
    external_userid: str
    scene: str = ""
    text: str = ""


@admin("kf_enter")
def kf_enter(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, scene?}`: a person opens the account. Answers `{welcome_code}`."""
    wanted = convert(body, Entering)
    with running.state.transaction() as db:
        code = kf.enter(running.state, db, wanted.open_kfid, wanted.external_userid, wanted.scene)
    running.state.notify()
    return {"welcome_code": code}


@admin("kf_write")
def kf_write(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{open_kfid, external_userid, text}`: a person writes to the account."""
    wanted = convert(body, Entering)
    with running.state.transaction() as db:
        msgid = kf.write(running.state, db, wanted.open_kfid, wanted.external_userid, wanted.text)
    running.state.notify()
    return {"msgid": msgid}
