"""Client of the simulator's own API, for the demo, the console page and tests. The simulator does not import it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar, cast

from hetang.platform import trust

_T = TypeVar("_T")
BATCH = 5000
_TIMEOUT_S = (10.0, 600.0)  # to connect and to read: advancing a month of a large population takes a while


class SimulatorUnavailable(Exception):
    """The simulator does not answer."""


class SimulatorRefused(Exception):
    """The simulator said no; the message says why."""


class SimulatorAdmin:
    """One method per call. Rows are dicts in the shape of `administration.py`; bulk calls split into batches."""

    def __init__(self, url: str, secret: str) -> None:
        import httpx  # 7 MB that a web process without a simulator does not need

        connect, read = _TIMEOUT_S
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {secret}"},
            timeout=httpx.Timeout(connect, read=read),
            trust_env=False,
            verify=trust.context(),
        )
        self._problems = httpx.HTTPError

    def __enter__(self) -> SimulatorAdmin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST `/simulator/<name>`. Raises SimulatorUnavailable or SimulatorRefused."""
        try:
            answer = self._http.post(f"/simulator/{name}", json=body or {})
        except self._problems as problem:
            raise SimulatorUnavailable(type(problem).__name__) from problem
        if answer.status_code != 200:
            raise SimulatorRefused(answer.json().get("error", str(answer.status_code)))
        return cast(dict[str, Any], answer.json())

    def wait_until_ready(self, timeout_s: float = 20.0) -> None:
        """Wait for the process to answer. Raises SimulatorUnavailable."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._http.get("/healthz").raise_for_status()
            except self._problems as problem:
                if time.monotonic() > deadline:
                    raise SimulatorUnavailable("not ready") from problem
                time.sleep(0.05)
            else:
                return

    def reset(self) -> None:
        """Forget the whole world."""
        self.call("reset")

    def corp(self, name: str, apps: list[dict[str, Any]], corpid: str = "") -> dict[str, Any]:
        """Found or change the corp. Returns `{corpid, apps: [{agentid, secret, ...}]}`."""
        return self.call("corp", {"name": name, "apps": apps, "corpid": corpid})

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (`settings.py`); returns all of them."""
        return self.call("settings", changes)

    def departments(self, rows: Iterable[dict[str, Any]]) -> int:
        """Departments `{id, name, parentid}`; the root is 1. Returns how many were taken."""
        return sum(self.call("departments", {"departments": part})["taken"] for part in _parts(rows))

    def staff(self, rows: Iterable[dict[str, Any]]) -> int:
        """Members `{userid, name, departments, store}`. Returns how many were taken."""
        return sum(self.call("staff", {"staff": part})["taken"] for part in _parts(rows))

    def people(self, rows: Iterable[dict[str, Any]]) -> list[str]:
        """People `{key, name, identities: [[kind, value]], unionid?, store, basket, daily_rate}`.

        `basket` is the typical order in minor units, `daily_rate` the chance to buy on a day. Returns their
        external_userids in order.
        """
        found: list[str] = []
        for part in _parts(rows):
            found += self.call("people", {"people": part})["external_userids"]
        return found

    def relations(self, rows: Iterable[dict[str, Any]]) -> int:
        """Friendships `{userid, external_userid, createtime, add_way?, state?}`, without callbacks."""
        return sum(self.call("relations", {"relations": part})["taken"] for part in _parts(rows))

    def relate(self, action: str, userid: str, external_userid: str, state: str = "") -> None:
        """One person acts, with callback: add, add_half, delete_by_customer, delete_by_staff."""
        body = {"action": action, "userid": userid, "external_userid": external_userid, "state": state}
        self.call("relate", body)

    def products(self, rows: Iterable[dict[str, Any]]) -> int:
        """Products `{sku, category, price}` that simulated orders are made of."""
        return sum(self.call("products", {"products": part})["taken"] for part in _parts(rows))

    def hetang(self, url: str, api_key: str, source: str = "simulator", public_url: str = "") -> None:
        """Where orders and visits are posted and links are opened, from now on.

        `public_url` is the base of the links in messages where that is another one.
        """
        self.call("hetang", {"url": url, "api_key": api_key, "source": source, "public_url": public_url})

    def clock(self, offset_s: float | None = None) -> dict[str, Any]:
        """Turn the clock (nobody acts) or read it: `{now, offset_s}`."""
        return self.call("clock", {} if offset_s is None else {"offset_s": offset_s})

    def advance(self, seconds: float) -> dict[str, Any]:
        """Turn the clock ahead and let everybody act: `{now, confirmed, bought, clicked, offset_s}`.

        Turn `platform.clock` first: Hetang refuses orders from its future.
        """
        return self.call("advance", {"seconds": seconds})

    def advance_to(self, offset_s: float) -> dict[str, Any]:
        """As `advance`, to an offset over the wall clock (the same number `platform.clock` is turned by)."""
        return self.call("advance", {"offset_s": offset_s})

    def confirm(self, msgid: str = "", userid: str = "", share: float = 1.0) -> dict[str, Any]:
        """Staff confirm open tasks now: `{confirmed, open}`."""
        return self.call("confirm", {"msgid": msgid, "userid": userid, "share": share})

    def ignore(self, msgid: str = "", userid: str = "") -> dict[str, Any]:
        """Staff leave these open tasks alone."""
        return self.call("ignore", {"msgid": msgid, "userid": userid})

    def tasks(self, limit: int = 200, *, open_only: bool = False) -> dict[str, Any]:
        """Newest tasks by member: `{tasks, open}`."""
        return self.call("tasks", {"limit": limit, "open": open_only})

    def orders(self, limit: int = 50) -> list[dict[str, Any]]:
        """Newest purchases."""
        return cast(list[dict[str, Any]], self.call("orders", {"limit": limit})["orders"])

    def received(self, contains: str = "", *, people: bool = False) -> dict[str, Any]:
        """How often customers were tasked and reached by messages whose text or link contains `contains`."""
        return self.call("received", {"contains": contains, "people": people})

    def truth(self, start: float = 0, end: float = 1e12) -> dict[str, Any]:
        """Purchases in a time and those that messages caused."""
        return self.call("truth", {"start": start, "end": end})

    def clicks(self, contains: str = "") -> dict[str, Any]:
        """Links opened so far in messages whose text or link contains `contains`: `{opened, answered, statuses}`."""
        return self.call("clicks", {"contains": contains})

    def status(self) -> dict[str, Any]:
        """Counts, clock, calls, outbox."""
        return self.call("status")

    def fault(self, kind: str, path: str = "*", **more: Any) -> None:
        """The next call(s) fail: see `faults.py`."""
        self.call("faults", {"kind": kind, "path": path, **more})

    def wait_until_posted(self, timeout_s: float = 60.0) -> None:
        """Wait until Hetang acknowledged every order and visit and answered every opened link. Raises TimeoutError with
        the reason."""
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.status()
            outbox, clicks = status["outbox"], status["clicks"]
            if outbox["waiting"] == clicks["waiting"] == 0:
                return
            if time.monotonic() > deadline:
                waiting = f"{outbox['waiting']} facts ({outbox['problem']}), {clicks['waiting']} clicks"
                raise TimeoutError(f"{waiting} ({clicks['problem']}) are not answered")
            time.sleep(0.1)


def _parts(rows: Iterable[_T]) -> Iterator[list[_T]]:
    waiting = iter(rows)
    while part := list(islice(waiting, BATCH)):
        yield part
