"""What a member notes about a customer: `externalcontact/remark` (reference 4.1)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import events
from hetang.simulator.apis import media
from hetang.simulator.apis.contacts import pair, person_of
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError
from hetang.simulator.friendships import EVENT

_LONGEST = {"remark": 20, "description": 150, "remark_company": 20}


class Remark(msgspec.Struct):
    userid: str = ""
    external_userid: str = ""
    remark: str | None = None
    description: str | None = None
    remark_company: str | None = None
    remark_mobiles: list[str] | None = None
    remark_pic_mediaid: str | None = None


@api("externalcontact/remark", "POST", Remark)
def remark(call: Call, request: Remark) -> dict[str, Any]:
    row = pair(call, request.userid, request.external_userid)
    texts = {name: getattr(request, name) for name in _LONGEST}
    if all(value is None for value in (*texts.values(), request.remark_mobiles, request.remark_pic_mediaid)):
        raise WeComError(40058, "nothing to note")
    for name, value in texts.items():
        if value is not None and len(value) > _LONGEST[name]:
            raise WeComError(40058, f"{name} is longer than {_LONGEST[name]}")
    if request.remark_pic_mediaid and not media.usable(call, request.remark_pic_mediaid):
        raise WeComError(40007)
    company = request.remark_company if person_of(call, request.external_userid)["kind"] == 1 else None
    mobiles = None
    if request.remark_mobiles is not None:  # [""] clears
        mobiles = msgspec.json.encode([one for one in request.remark_mobiles if one]).decode()
    call.db.execute(
        "update relation set remark = coalesce(?, remark), description = coalesce(?, description),"
        " corp_remark = coalesce(?, corp_remark), mobiles = coalesce(?, mobiles)"
        " where userid = ? and external_userid = ?",
        [request.remark, request.description, company, mobiles, row["userid"], row["external_userid"]],
    )
    fields = {"UserID": row["userid"], "ExternalUserID": row["external_userid"]}
    events.queue_of_api(call.state, call.db, EVENT, "edit_external_contact", fields)
    return {}
