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

from hetang.simulator import ids
from hetang.simulator.errors import WeComError
from hetang.simulator.state import State


@dataclass
class Upload:
    """A file of a multipart body."""

    name: str
    content: bytes


@dataclass
class Download:
    """An answer that is a file instead of JSON."""

    name: str
    kind: str
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
    host: str = ""
    allowed: set[str] | None = None  # userids in the app's range, once somebody asked

    def picture(self, kind: str, name: str) -> str:
        """The address of a picture that the simulator itself serves."""
        return f"http://{self.host}/pictures/{kind}/{name}.png" if self.host else ""

    @property
    def agentid(self) -> int:
        """The calling app. Only calls with a token have one."""
        if self.app is None:
            raise WeComError(41001)
        return int(self.app["agentid"])


class Empty(msgspec.Struct):
    """A request without parameters."""


Handler = Callable[[Call, Any], dict[str, Any]]
FILE = "\0file"  # the key under which a handler answers a `Download`


@dataclass(frozen=True)
class Route:
    """One API of the platform."""

    path: str
    methods: tuple[str, ...]
    request: type[msgspec.Struct]
    handler: Handler
    authorised: bool = True
    customer_contact: bool = False
    legacy: bool = False


ROUTES: dict[str, Route] = {}


def api(
    path: str,
    methods: str,
    request: type[msgspec.Struct] = Empty,
    *,
    authorised: bool = True,
    legacy: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a handler under `/cgi-bin/<path>` for the given methods ("GET", "POST" or "GET POST").

    `legacy` calls are withdrawn from the documentation; old SDKs still make them, and only lenient mode serves them.
    """

    def register(handler: Handler) -> Handler:
        contact = path.startswith("externalcontact/")
        ROUTES[path] = Route(path, tuple(methods.split()), request, handler, authorised, contact, legacy)
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
    host: str = "",
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
        if route.legacy and state.settings.strict:
            raise WeComError(48005)
        request, warned = _request(route, method, query, body, upload)
        answer = route.handler(Call(state, db, now, app, address, upload, host), request)
    if warned and state.settings.json_warning:
        return {**answer, "errmsg": "Warning: wrong json format. ok"}
    return answer


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


def _request(
    route: Route, method: str, query: Mapping[str, str], body: bytes, upload: Upload | None
) -> tuple[msgspec.Struct, bool]:
    """The typed request, and whether a value of it had to be read as another JSON type."""
    payload: Any = dict(query)
    if method == "GET" or upload is not None:
        return _convert(payload, route.request, strict=False), False
    try:
        payload = msgspec.json.decode(body) if body.strip() else {}
    except msgspec.DecodeError as problem:
        raise WeComError(40058, "json is not parsable") from problem
    if not isinstance(payload, dict):
        raise WeComError(40058, "json is not an object")
    payload = {name: value for name, value in payload.items() if value is not None}  # null is as good as absent
    try:
        return _convert(payload, route.request, strict=True), False
    except WeComError:
        return _convert(payload, route.request, strict=False), True


def _convert(payload: Any, kind: type[msgspec.Struct], *, strict: bool) -> msgspec.Struct:
    try:
        return msgspec.convert(payload, kind, strict=strict)
    except msgspec.ValidationError as problem:
        raise WeComError(40058, str(problem)) from problem


def place(cursor: str) -> list[Any] | None:
    """What a cursor of ours says; None at the start. Raises 40058 for anything else."""
    try:
        return ids.position(cursor)
    except ValueError as problem:
        raise WeComError(40058, "cursor") from problem


def page_size(limit: int | None, default: int, highest: int) -> int:
    """The number of rows of a page. Raises 40058 above the highest, as strict clients must learn."""
    if limit is None or limit == 0:
        return default
    if not 0 < limit <= highest:
        raise WeComError(40058, f"limit must be 1 to {highest}")
    return limit
