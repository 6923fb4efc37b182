"""The routing table of `/cgi-bin`: each API is a small handler with the type of its request and its limits.

A handler gets a `Call` and its checked request, and returns the answer's fields without the envelope. It runs inside
one transaction: an exception leaves no trace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hetang.simulator.errors import WeComError
from hetang.simulator.state import State


@dataclass
class Upload:
    """A file of a multipart body."""

    name: str
    content: bytes


@dataclass
class Call:
    """One authorised call: who calls, when (simulator's time), and the state to work on."""

    state: State
    db: sqlite3.Connection
    now: float
    app: sqlite3.Row | None
    address: str
    upload: Upload | None = None

    @property
    def agentid(self) -> int:
        """The calling app. Only calls with a token have one."""
        if self.app is None:
            raise WeComError(41001)
        return int(self.app["agentid"])


class Empty(msgspec.Struct):
    """A request without parameters."""


Handler = Callable[[Call, Any], dict[str, Any]]


@dataclass(frozen=True)
class Route:
    """One API of the platform."""

    path: str
    methods: tuple[str, ...]
    request: type[msgspec.Struct]
    handler: Handler
    authorised: bool = True
    customer_contact: bool = False


ROUTES: dict[str, Route] = {}


def api(
    path: str,
    methods: str,
    request: type[msgspec.Struct] = Empty,
    *,
    authorised: bool = True,
) -> Callable[[Handler], Handler]:
    """Register a handler under `/cgi-bin/<path>` for the given methods ("GET", "POST" or "GET POST")."""

    def register(handler: Handler) -> Handler:
        contact = path.startswith("externalcontact/")
        ROUTES[path] = Route(path, tuple(methods.split()), request, handler, authorised, contact)
        return handler

    return register


def run(
    route: Route,
    state: State,
    method: str,
    *,
    query: Mapping[str, str],
    body: bytes,
    address: str,
    upload: Upload | None = None,
) -> dict[str, Any]:
    """Check method, token, permission and request, then answer. Raises WeComError."""
    if method not in route.methods:
        raise WeComError(40058, "wrong http method")
    with state.transaction() as db:
        now = state.now()
        app = _authorise(db, now, query.get("access_token", ""), address) if route.authorised else None
        if route.customer_contact and app is not None and not app["customer_contact"]:
            raise WeComError(48002)
        request = _request(route, method, query, body, upload)
        return route.handler(Call(state, db, now, app, address, upload), request)


def _authorise(db: sqlite3.Connection, now: float, access_token: str, address: str) -> sqlite3.Row:
    if not access_token:
        raise WeComError(41001)
    row: sqlite3.Row | None = db.execute(
        "select t.expires_at, t.dead, a.* from token t join app a using (agentid) where t.access_token = ?",
        [access_token],
    ).fetchone()
    if row is None or row["dead"] == "invalid":
        raise WeComError(40014)
    if row["dead"] == "expired" or row["expires_at"] <= now:
        raise WeComError(42001)
    trusted = msgspec.json.decode(row["trusted_ips"])
    if trusted and address not in trusted:
        raise WeComError(60020)
    return row


def _request(route: Route, method: str, query: Mapping[str, str], body: bytes, upload: Upload | None) -> msgspec.Struct:
    payload: Any = dict(query)
    if method == "POST" and upload is None:
        try:
            payload = msgspec.json.decode(body) if body.strip() else {}
        except msgspec.DecodeError as problem:
            raise WeComError(40058, "json is not parsable") from problem
        if not isinstance(payload, dict):
            raise WeComError(40058, "json is not an object")
    try:
        return msgspec.convert(payload, route.request, strict=False)
    except msgspec.ValidationError as problem:
        raise WeComError(40058, str(problem)) from problem


def page_size(limit: int | None, default: int, highest: int) -> int:
    """The number of rows of a page. Raises 40058 above the highest, as strict clients must learn."""
    if limit is None or limit == 0:
        return default
    if not 0 < limit <= highest:
        raise WeComError(40058, f"limit must be 1 to {highest}")
    return limit
