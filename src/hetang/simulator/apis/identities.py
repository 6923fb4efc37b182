"""One person under several ids: unionid, openid, pending id (reference 4.1, 4.3)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis.contacts import person_of
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError
from hetang.simulator.friendships import VISIBLE_SQL

PENDING_LIFE_S = 90 * 86400


class UnionId(msgspec.Struct):
    unionid: str = ""
    openid: str = ""
    subject_type: int = 0


class ExternalUserId(msgspec.Struct):
    external_userid: str = ""


class PendingIds(msgspec.Struct):
    external_userid: list[str] = msgspec.field(default_factory=list)
    chat_id: str = ""


def openid_of(call: Call, external_userid: str) -> str:
    """The person's openid for this corp: it follows from her external_userid."""
    return ids.token("o", call.state.settings.seed, "openid", external_userid, length=28)


@api("externalcontact/unionid_to_external_userid", "POST", UnionId)
def unionid_to_external_userid(call: Call, request: UnionId) -> dict[str, Any]:
    found = _customer(call, request)
    if found is None:
        raise WeComError(84061)
    return {"external_userid": found}


@api("idconvert/unionid_to_external_userid", "POST", UnionId)
def convert_unionid(call: Call, request: UnionId) -> dict[str, Any]:
    """A customer's external_userid, or a pending id by which a later customer is known again."""
    if request.subject_type not in {0, 1}:
        raise WeComError(40058, "subject_type")
    found = _customer(call, request)
    return {"external_userid": found} if found else {"pending_id": _pending(call, request.unionid)}


@api("idconvert/batch/external_userid_to_pending_id", "POST", PendingIds)
def external_userid_to_pending_id(call: Call, request: PendingIds) -> dict[str, Any]:
    if not request.external_userid or len(request.external_userid) > 100:
        raise WeComError(40058, "external_userid must have 1 to 100 entries")
    rows = call.db.execute(
        "select p.external_userid, n.pending_id from json_each(?) w join person p on p.external_userid = w.value"
        " join pending n using (unionid) where n.at > ? order by w.key",
        [msgspec.json.encode(request.external_userid).decode(), call.now - PENDING_LIFE_S],
    )
    return {"result": [{"external_userid": row[0], "pending_id": row[1]} for row in rows]}


@api("externalcontact/convert_to_openid", "POST", ExternalUserId)
def convert_to_openid(call: Call, request: ExternalUserId) -> dict[str, Any]:
    person = person_of(call, request.external_userid)
    if person["kind"] != 1:
        raise WeComError(41056)
    return {"openid": openid_of(call, person["external_userid"])}


def _customer(call: Call, request: UnionId) -> str | None:
    """The customer with this unionid and openid. Raises 41057, 40058 or 40073."""
    if not call.state.settings.unionid_bound:
        raise WeComError(41057)
    if not request.unionid or not request.openid:
        raise WeComError(40058, "unionid and openid are both needed")
    row = call.db.execute(
        "select external_userid from person p where unionid = ? and kind = 1 and exists"
        f" (select 1 from relation r where r.external_userid = p.external_userid and r.{VISIBLE_SQL})",
        [request.unionid],
    ).fetchone()
    return None if row is None else str(row["external_userid"])


def _pending(call: Call, unionid: str) -> str:
    row = call.db.execute(
        "select pending_id from pending where unionid = ? and at > ?", [unionid, call.now - PENDING_LIFE_S]
    ).fetchone()
    if row is not None:
        return str(row["pending_id"])
    made = secrets.token_hex(16)
    call.db.execute("insert into pending (pending_id, unionid, at) values (?, ?, ?)", [made, unionid, call.now])
    return made
