"""Acquisition links: opened by people, paid for and deleted by the corp."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from hetang.simulator import acquisition
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError


class Opening(msgspec.Struct):
    url: str
    external_userid: str


class Buying(msgspec.Struct):
    count: int
    days: float = 365


class LinkId(msgspec.Struct):
    link_id: str


@admin("open_link")
def open_link(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{url, external_userid}`: a person opens an acquisition link; `?customer_channel=` becomes the state."""
    wanted = convert(body, Opening)
    place = urlsplit(wanted.url)
    channel = parse_qs(place.query).get("customer_channel", [""])[0]
    with running.state.transaction() as db:
        answer = acquisition.open_link(
            running.state, db, place.path.rsplit("/", 1)[-1], wanted.external_userid, channel
        )
    running.state.notify()
    return answer


@admin("buy_quota")
def buy_quota(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{count, days?}`: the corp buys quota of acquisition links."""
    wanted = convert(body, Buying)
    with running.state.transaction() as db:
        acquisition.buy(running.state, db, wanted.count, wanted.days * 86400)
        left = acquisition.balance(db, running.state.now())
    running.state.notify()
    return {"balance": left}


@admin("delete_link")
def delete_link(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{link_id}`: an administrator deletes the link in the client, which is told."""
    link_id = convert(body, LinkId).link_id
    with running.state.transaction() as db:
        if not db.execute("delete from kept where kind = ? and id = ?", [acquisition.LINK, link_id]).rowcount:
            raise AdminError(404, "there is no such link")
        acquisition.tell(running.state, db, "delete_link", LinkId=link_id)
    running.state.notify()
    return {}
