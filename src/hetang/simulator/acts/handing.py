"""Customers who refuse a new member, and members who publish moments."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hetang.simulator import moments, transfers
from hetang.simulator.administration import Running, admin, convert


class Refusing(msgspec.Struct):
    external_userid: str
    takeover: str


class Publishing(msgspec.Struct):
    userid: str
    moment_id: str = ""


class Posting(msgspec.Struct):
    userid: str
    text: str


class Reacting(msgspec.Struct):
    moment_id: str
    userid: str
    external_userid: str
    kind: Literal["comment", "like"] = "like"


@admin("refuse_transfer")
def refuse_transfer(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{external_userid, takeover}`: the customer does not want to be handed over."""
    wanted = convert(body, Refusing)
    with running.state.transaction() as db:
        transfers.refuse(running.state, db, wanted.external_userid, wanted.takeover)
    running.state.notify()
    return {}


@admin("publish_moment")
def publish_moment(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{moment_id, userid}`: the member publishes his task now. Answers how many customers see it."""
    wanted = convert(body, Publishing)
    state = running.state
    with state.transaction() as db:
        return {"seen": moments.publish(state, db, wanted.moment_id, wanted.userid, state.now())}


@admin("post_moment")
def post_moment(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, text}`: a member's own moment. Answers `{moment_id, seen}`."""
    wanted = convert(body, Posting)
    state = running.state
    told = {"text": wanted.text, "attachments": [], "tag_list": [], "public": True}
    with state.transaction() as db:
        row = moments.create(state, db, told, [wanted.userid], agentid=None, owner=wanted.userid)
        seen = moments.publish(state, db, row["moment_id"], wanted.userid, state.now())
    return {"moment_id": row["moment_id"], "seen": seen}


@admin("react")
def react(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{moment_id, userid, external_userid, kind: comment | like}`: a customer reacts to the member's moment."""
    wanted = convert(body, Reacting)
    with running.state.transaction() as db:
        moments.react(
            *(running.state, db, wanted.moment_id, wanted.userid), who=wanted.external_userid, kind=wanted.kind
        )
    return {}
