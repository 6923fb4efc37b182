"""The simulator's own API below `/simulator/`: clock, settings, faults. JSON in and out, bearer secret.

Handlers get the running parts and the decoded JSON body, and return a JSON object. `acts/` holds what people do and
how a world is seeded, `reports.py` the reading ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from hetang.simulator.callbacks import check_address
from hetang.simulator.clicks import Clicker
from hetang.simulator.errors import AdminError
from hetang.simulator.faults import Fault, Faults
from hetang.simulator.limits import Limiter
from hetang.simulator.orders import Poster
from hetang.simulator.state import State
from hetang.simulator.world import World

MAX_BATCH = 10_000
_T = TypeVar("_T")


@dataclass
class Running:
    """The parts of the process that admin calls work on."""

    state: State
    world: World
    faults: Faults
    limiter: Limiter
    poster: Poster
    clicker: Clicker


AdminHandler = Callable[[Running, dict[str, Any]], dict[str, Any]]
HANDLERS: dict[str, AdminHandler] = {}


def admin(name: str) -> Callable[[AdminHandler], AdminHandler]:
    """Register a handler at `/simulator/<name>`."""

    def register(handler: AdminHandler) -> AdminHandler:
        HANDLERS[name] = handler
        return handler

    return register


class Hetang(msgspec.Struct):
    """Where orders go: base URL of Hetang, an API key with the scope to write facts, and the name of the source.
    `public_url` is the base of the links in its messages, where that is another one."""

    url: str
    api_key: str
    source: str = "simulator"
    public_url: str = ""


@admin("reset")
def reset(running: Running, _body: dict[str, Any]) -> dict[str, Any]:
    running.state.wipe()
    running.faults.clear()
    running.limiter.forget()
    return {}


@admin("settings")
def settings(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """Change what is given, answer all."""
    changed = running.state.change_settings(body) if body else running.state.settings
    return cast(dict[str, Any], msgspec.to_builtins(changed))


@admin("hetang")
def hetang(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    target = convert(body, Hetang)
    running.state.keep("hetang", msgspec.to_builtins(target))
    running.state.notify()
    return {}


@admin("clock")
def clock(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{offset_s}` turns the clock without anybody acting; the answer tells what it is."""
    if "offset_s" in body:
        with running.state.alone():
            running.state.turn(float(body["offset_s"]))
            running.state.keep("acted_until", running.state.now())
    return {"now": running.state.now(), "offset_s": running.state.offset_s}


@admin("advance")
def advance(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{seconds}` turns the clock ahead and lets everybody act; `{offset_s}` instead turns it to that offset."""
    state = running.state
    seconds = float(body["offset_s"]) - state.offset_s if "offset_s" in body else float(body.get("seconds", 0))
    if seconds < 0:
        raise AdminError(400, "time does not run backwards; use /simulator/clock")
    return {**running.world.advance(seconds), "offset_s": state.offset_s}


@admin("tokens")
def tokens(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{dead: expired | invalid}`: every token answers 42001 or 40014 from now on."""
    dead = body.get("dead")
    if dead not in {"expired", "invalid"}:
        raise AdminError(400, "dead must be expired or invalid")
    with running.state.transaction() as db:
        changed = db.execute("update token set dead = ? where dead = ''", [dead]).rowcount
    return {"tokens": changed}


@admin("check_callback")
def check_callback(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{agentid}`: ask the app's callback address as the platform does when it is saved. Answers `{problem}`."""
    with running.state.transaction() as db:
        app = db.execute("select * from app where agentid = ?", [body.get("agentid", 1000002)]).fetchone()
    if app is None or not app["callback_url"]:
        raise AdminError(404, "the app has no callback address")
    return {"problem": check_address(running.state.value("corpid", ""), app, int(running.state.now()))}


@admin("faults")
def faults(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`Fault` adds one, `{clear: true}` forgets all; the answer lists what is still to come."""
    if body.get("clear"):
        running.faults.clear()
    elif body:
        running.faults.add(convert(body, Fault))
    return {"faults": msgspec.to_builtins(running.faults.waiting())}


def batch(body: dict[str, Any], name: str, kind: type[list[_T]]) -> list[_T]:
    """The typed rows under `name`. Raises AdminError."""
    rows = convert(body.get(name), kind)
    if len(rows) > MAX_BATCH:
        raise AdminError(400, f"at most {MAX_BATCH} {name} at once")
    return rows


def convert(value: Any, kind: type[_T]) -> _T:
    """The value as the given type. Raises AdminError."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise AdminError(400, str(problem)) from problem
