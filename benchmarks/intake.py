"""How many facts a second come in over HTTP, and how soon they are visible.

Runs the whole product on an own temporary home (web, worker, engine, PostgreSQL), the generator beside it.

- `facts_per_s`: validated, durable, deduplicated facts in batches of 1,000 orders and visits, offered at `OFFERED` a
  second, and how far the streams are behind at the end.
- `burst_facts_per_s`: the same offered without limit for ten seconds; the streams then catch up.
- `ratio_to_copy`: the burst against COPY of the same rows into a bare, durable table in the same server.
- `single_requests_per_s`: one fact a request.
- `applied_p99_s`: from the HTTP answer to the metrics being visible, at 1,000 facts/s in tens.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from benchmarks.product import Product
from benchmarks.report import report

SIZES = {"small": {"seconds": 10, "people": 20_000}, "full": {"seconds": 60, "people": 200_000}}
CLIENTS = 4
BATCH = 1000
OFFERED = 16_000  # a little more than the target, so that reaching it is not a matter of the last request
BURST_S = 10
STARTED = datetime.now(UTC) - timedelta(days=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small")
    size = SIZES[parser.parse_args().size]
    with Product() as product:
        load = Load(product, size["people"])
        load.warm_up()
        rate = load.flood(size["seconds"], OFFERED)
        report("facts_per_s", rate, "facts/s", baseline=15_000, **load.lag_at_end)
        burst = load.flood(BURST_S)
        report("burst_facts_per_s", burst, "facts/s", baseline=15_000, **load.lag_at_end)
        copy = copy_rate(product)
        report("ratio_to_copy", burst / copy, "ratio", copy_rows_per_s=round(copy))
        report("single_requests_per_s", load.single(min(10, size["seconds"])), "requests/s")
        report("applied_p99_s", load.applied_p99(min(20, size["seconds"])), "s", baseline=1.0)


class Load:
    """A generator of orders and visits of `people` customers, with keys that never repeat."""

    def __init__(self, product: Product, people: int) -> None:
        self.product = product
        self.people = people
        self.headers = {"Authorization": f"Bearer {product.api_key}", "Content-Type": "application/json"}
        self.url = f"{product.url}/api/v1/facts"
        self.lag_at_end: dict[str, Any] = {}
        self._next = iter(range(10**12))

    def warm_up(self) -> None:
        """Every person is known before the clock runs: the target is about known people's orders and visits."""
        with httpx.Client(timeout=60) as client:
            for start in range(0, self.people, BATCH):
                facts = [self._visit(n) for n in range(start, min(start + BATCH, self.people))]
                self._send(client, facts)
        self.product.wait_until_applied(120)

    def flood(self, seconds: float, offered: float = 0.0) -> float:
        """Facts acknowledged per second, by several clients that send batches of 1,000 at `offered` facts a second
        together (0: as fast as they can)."""
        count = int(seconds * (offered or 50_000) / BATCH / CLIENTS) + 2
        bodies = [self._bodies(count) for _ in range(CLIENTS)]
        sent = [0] * CLIENTS
        started = time.monotonic()

        def client_loop(place: int) -> None:
            with httpx.Client(timeout=60) as client:
                for turn, body in enumerate(bodies[place]):
                    due = started + (turn * CLIENTS + place) * BATCH / offered if offered else 0.0
                    time.sleep(max(0.0, due - time.monotonic()))
                    if time.monotonic() >= started + seconds:
                        return
                    answer = client.post(self.url, content=body, headers=self.headers)
                    answer.raise_for_status()
                    sent[place] += answer.json()["accepted"]

        run_all([lambda place=place: client_loop(place) for place in range(CLIENTS)])
        elapsed = time.monotonic() - started
        self.lag_at_end = self.product.seconds_behind()
        self.product.wait_until_applied(300)
        self.lag_at_end["caught_up_s"] = round(time.monotonic() - started - elapsed, 2)
        return sum(sent) / elapsed

    def single(self, seconds: float) -> float:
        """Requests of one fact each, per second, by four clients."""
        counts = [0] * CLIENTS
        stop = time.monotonic() + seconds

        def client_loop(place: int) -> None:
            with httpx.Client(timeout=60) as client:
                while time.monotonic() < stop:
                    self._send(client, [self._visit()])
                    counts[place] += 1

        run_all([lambda place=place: client_loop(place) for place in range(CLIENTS)])
        return sum(counts) / seconds

    def applied_p99(self, seconds: float) -> float:
        """99th percentile of (metrics visible - HTTP answer), seconds, at 100 requests of ten facts a second."""
        delays: list[float] = []
        with (
            httpx.Client(timeout=60) as client,
            psycopg.connect(self.product.database_url, autocommit=True) as database,
        ):
            watcher = Watcher(database, delays)
            thread = threading.Thread(target=watcher.watch)
            thread.start()
            for due in paced(100, seconds):
                member = f"fresh-{next(self._next)}"
                facts = [self._visit() for _ in range(9)] + [self._visit(member=member)]
                self._send(client, facts)
                watcher.expect(member, time.monotonic())
                del due
            watcher.finish()
            thread.join()
        return statistics.quantiles(delays, n=100)[98]

    def _bodies(self, count: int) -> list[bytes]:
        return [self._body([self._order() if n % 2 else self._visit() for n in range(BATCH)]) for _ in range(count)]

    def _send(self, client: httpx.Client, facts: list[dict[str, Any]]) -> None:
        client.post(self.url, content=self._body(facts), headers=self.headers).raise_for_status()

    def _body(self, facts: list[dict[str, Any]]) -> bytes:
        return json.dumps({"source": "bench", "facts": facts}, separators=(",", ":")).encode()

    def _visit(self, person: int | None = None, member: str = "") -> dict[str, Any]:
        return self._fact("visit.recorded", member or str(self._person(person)), {"store": None, "channel": "store"})

    def _order(self) -> dict[str, Any]:
        amounts = [random.randrange(100, 5000) for _ in range(2)]
        lines = [
            {"sku": f"s{amount % 500}", "category": f"c{amount % 40}", "quantity": "1", "amount": amount}
            for amount in amounts
        ]
        return self._fact("order.placed", str(self._person(None)), {"lines": lines, "net": sum(amounts)})

    def _person(self, person: int | None) -> int:
        return random.randrange(self.people) if person is None else person

    def _fact(self, kind: str, member: str, body: dict[str, Any]) -> dict[str, Any]:
        number = next(self._next)
        at = STARTED + timedelta(milliseconds=number % 80_000_000)
        who = [{"kind": "member", "value": member}]
        return {"kind": kind, "key": str(number), "occurred_at": at.isoformat(), "who": who, "body": body}


class Watcher:
    """Looks for new people's metrics until each has been seen."""

    def __init__(self, database: psycopg.Connection[Any], delays: list[float]) -> None:
        self.database = database
        self.delays = delays
        self.waiting: dict[str, float] = {}
        self.done = threading.Event()

    def expect(self, member: str, answered_at: float) -> None:
        self.waiting[member] = answered_at

    def finish(self) -> None:
        self.done.set()

    def watch(self) -> None:
        while self.waiting or not self.done.is_set():
            members = list(self.waiting)
            rows = self.database.execute(
                "select i.key from customers_identity i join commerce_customermetric m on m.customer_id = i.customer_id"
                " where i.kind = 'member' and i.key = any(%s) and m.visits > 0",
                [members],
            ).fetchall()
            seen = time.monotonic()
            self.delays += [seen - self.waiting.pop(key) for (key,) in rows]
            time.sleep(0.01)


def copy_rate(product: Product, rows: int = 200_000) -> float:
    """Rows a second of a plain COPY of the same facts into a durable table without any index: the limit."""
    with psycopg.connect(product.database_url) as database:
        with database.cursor().copy(f"copy (select * from facts_fact limit {rows}) to stdout (format binary)") as out:
            body = b"".join(bytes(part) for part in out)
        database.execute("create table copied (like facts_fact)")
        database.commit()
        started = time.monotonic()
        with database.cursor().copy("copy copied from stdin (format binary)") as copy:
            copy.write(body)
        database.commit()
        return rows / (time.monotonic() - started)


def paced(per_second: int, seconds: float) -> Iterator[float]:
    """Yields at a fixed rate, never faster; a slow consumer is not made up for."""
    started = time.monotonic()
    for step in range(int(per_second * seconds)):
        due = started + step / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        yield due


def run_all(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
