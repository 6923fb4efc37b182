"""Kills of the engine while tags change: a scenario of `benchmarks.faults`.

Words on tags of single people come in by the API, with ends and merges among them, and a rule keeps a tag; meanwhile
the engine is killed with -9 (3 times, or 20), and is started again by the supervisor. Afterwards every set must equal
what PostgreSQL says. Twenty take eight minutes: after many crashes in a row the supervisor waits for half a minute.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
from pyroaring import BitMap

from benchmarks.product import Product
from benchmarks.report import report

KILLS = {"small": 3, "full": 20}
PEOPLE = {"small": 5_000, "full": 50_000}
TAGS = 20
BATCH, PER_S = 200, 1_000
BETWEEN_S = 1.5
PATIENCE_S = 60.0


def tags(size: str) -> None:
    """The scenario."""
    with Product() as product:
        from hetang.audiences import verification

        kept_tag = _tags()
        stream = Stream(product, PEOPLE[size], kept_tag)
        stream.start()
        draw, back = random.Random(4), []
        try:
            for _ in range(KILLS[size]):
                time.sleep(draw.uniform(0.2, BETWEEN_S))
                _engine(product).kill()
                back.append(_until_back())
        finally:
            stream.stop()
        _wait_for_customers()
        found = verification.verify(rest_s=0)  # the history was away most of the time: it may be behind
    wrong = len(found.set_differences) + len(found.kept_differences)
    more = {"kills": len(back), "sets": found.sets, "customers": found.customers, "facts": stream.sent}
    report("engine_kills_sets_wrong", wrong, "sets", baseline=0, **more)
    report("engine_kills_back_s", max(back), "s", baseline=60, kills=len(back))
    assert wrong == 0, found.as_json()


class Stream:
    """Facts by the API, and a rule that keeps a tag, each in a thread."""

    def __init__(self, product: Product, people: int, kept_tag: int) -> None:
        self.sent = 0
        self._product, self._people, self._kept = product, people, kept_tag
        self._draw, self._stopping = random.Random(3), threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._keep)]
        self.failed: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        headers = {"Authorization": f"Bearer {self._product.api_key}"}
        with httpx.Client(base_url=self._product.url, headers=headers, timeout=30) as client:
            while not self._stopping.is_set():
                facts = [self._fact() for _ in range(BATCH)]
                client.post("/api/v1/facts", json={"source": "crm", "facts": facts}).raise_for_status()
                self._stopping.wait(BATCH / PER_S)

    def _fact(self) -> dict[str, Any]:
        draw, now, self.sent = self._draw, datetime.now(UTC), self.sent + 1
        who = [{"kind": "member", "value": f"m{draw.randrange(self._people)}"}]
        fact = {"key": f"k{self.sent}", "occurred_at": now.isoformat(), "who": who}
        if draw.random() < 0.01:
            who.append({"kind": "card", "value": f"c{draw.randrange(self._people // 2)}"})
            return {**fact, "kind": "customer.identified", "body": {}}
        body: dict[str, Any] = {"tag": f"t{draw.randrange(TAGS)}", "on": draw.random() < 0.6}
        if body["on"] and draw.random() < 0.1:
            body["expires_at"] = (now + timedelta(seconds=draw.randrange(1, 120))).isoformat()
        return {**fact, "kind": "tag.changed", "body": body}

    def _keep(self) -> None:
        from django.db import connection

        from hetang.customers import kept

        draw = random.Random(5)
        while not self._stopping.is_set():
            some = BitMap(draw.sample(range(1, self._people // 4), self._people // 20))
            kept.keep(self._kept, some, {"audience": 0})
            self._stopping.wait(0.1)
        connection.close()


def _tags() -> int:
    """Twenty tags, half of them of a group that allows one; and one that a rule keeps, whose id comes back."""
    from hetang.customers import kept
    from hetang.customers.models import Tag, TagGroup

    groups = [TagGroup.objects.create(name="free"), TagGroup.objects.create(name="one", exclusive=True)]
    for number in range(TAGS):
        Tag.objects.create(code=f"t{number}", name=f"Tag {number}", group=groups[number % 2])
    tag = Tag.objects.create(code="kept", name="Kept", group=groups[0])
    kept.begin(tag)
    return tag.pk


def _wait_for_customers() -> None:
    """Until every word is applied to the tables. Raises TimeoutError."""
    from hetang.facts import queries

    until = time.monotonic() + PATIENCE_S
    while any(lag.waiting for lag in queries.lags() if lag.name == "customers"):
        if time.monotonic() > until:
            raise TimeoutError("the customers are behind")
        time.sleep(0.1)


def _engine(product: Product) -> psutil.Process:
    while True:  # between two of them there is none
        for one in product.processes():
            with suppress(psutil.NoSuchProcess):
                if "engine" in one.cmdline():
                    return one
        time.sleep(0.05)


def _until_back() -> float:
    from hetang.platform import engine_client

    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_S:
        with suppress(engine_client.EngineUnavailable, engine_client.ServiceError):
            engine_client.call("sets", "status", {}, timeout_s=5)
            return time.monotonic() - began
        time.sleep(0.05)
    raise TimeoutError("the engine did not come back")
