"""The simulator inside the test's own process: no start-up, and its state can be looked at."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import httpx

from hetang.simulator.admin import SimulatorAdmin
from hetang.simulator.administration import Running
from hetang.simulator.callbacks import Deliverer
from hetang.simulator.clicks import Clicker
from hetang.simulator.faults import Faults
from hetang.simulator.limits import Limiter
from hetang.simulator.orders import Poster
from hetang.simulator.server import Server
from hetang.simulator.state import State
from hetang.simulator.world import World as Life
from tests.simulator.world import AES_KEY, World, found

SECRET = "secret-of-the-test"


class LocalSimulator:
    """Serves on a free port; callbacks wait in the table until a test delivers them."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        state = self.state
        self.running = Running(state, Life(state), Faults(), Limiter(state), Poster(state), Clicker(state))
        self.server = Server(("127.0.0.1", 0), self.running, SECRET)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()
        self.admin = SimulatorAdmin(self.url, SECRET)
        self.http = httpx.Client(base_url=f"{self.url}/cgi-bin/", timeout=10)

    def stop(self) -> None:
        self.admin.close()
        self.http.close()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        self.state.close()


class Corp(World):
    """The small corp of `found`, in a simulator of this process, with what its app was told."""

    local: LocalSimulator
    _seen: int = 0

    def deliver(self) -> int:
        """Post what waits to the app's callback address, once."""
        return Deliverer(self.local.state).deliver()

    def events(self) -> list[dict[str, Any]]:
        """What the app was (or will be) told since the last look: element names and texts, lists as lists."""
        with self.local.state.transaction() as db:
            rows = db.execute("select number, body from callback where number > ? order by number", [self._seen])
            bodies = [(row["number"], row["body"]) for row in rows]
        self._seen = bodies[-1][0] if bodies else self._seen
        return [_fields(body) for _, body in bodies]

    def act(self, name: str, /, **body: Any) -> dict[str, Any]:
        """One call of the simulator's own API."""
        return self.admin.call(name, body)

    def code(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> int:
        """Only the errcode of a call."""
        return int(self.call(path, body, **query)["errcode"])

    def pass_time(self, seconds: float) -> None:
        """Turn the clock, let everybody act, and take a new token if the old one died."""
        self.admin.advance(seconds)
        self.sign_in()


def founded(local: LocalSimulator, *, callback_url: str = "http://127.0.0.1:9/callback") -> Corp:
    """An emptied simulator with the small corp."""
    local.admin.reset()
    local.running.limiter.forget()
    world = found(local.admin, local.http, callback_url=callback_url)
    corp = Corp(world.admin, world.http, world.corpid, world.secret, world.people, world.token)
    corp.local = local
    return corp


def _fields(body: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, inner in re.findall(r"<(\w+)>(.*?)</\1>", body.removeprefix("<xml>").removesuffix("</xml>")):
        items = re.findall(r"<Item>(.*?)</Item>", inner)
        told[name] = [_text(one) for one in items] if items else _text(inner)
    for name in ("ToUserName", "FromUserName", "MsgType", "CreateTime"):
        told.pop(name, None)
    return told


def _text(inner: str) -> str | int:
    cdata = re.fullmatch(r"<!\[CDATA\[(.*)\]\]>", inner)
    return cdata[1] if cdata else int(inner)


__all__ = ["AES_KEY", "Corp", "LocalSimulator", "founded"]
