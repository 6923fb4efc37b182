"""How long an operator waits for the number after an edit in the audience builder.

`preview_p95_ms`: from the HTTP request (the whole rule, as the builder posts it) to the answer with count, sample, the
size of every part and the sentence, on the demo brand, one operator at a time. Every condition of every rule is drawn
anew, so neither the engine's answers to conditions nor ClickHouse's query condition cache can help; live sets (tags,
consent, stores, friends) are live sets in production too. `--size full` repeats it on a synthetic million
(`preview_1m_p95_ms`), which goes into the tables directly.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from typing import Any

import httpx

from benchmarks.million import statements
from benchmarks.product import Product
from benchmarks.report import report

RULES = {"small": 150, "full": 400}
TARGET_MS = 300
LOADED_S = 900
MILLION = 1_000_000

Leaf = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=RULES, default="small")
    parser.add_argument("--million", action="store_true", help="only the part of the full size with a million people")
    options = parser.parse_args()
    if options.million:
        with Product() as product:
            fill()
            operator = Operator(product.url, "bench", make_user("bench"))
            measure("preview_1m_p95_ms", operator, RULES["full"])
        return
    with Product(demo=True) as product:
        wait_until_loaded(product)
        login = json.loads((product.home / "demo-logins.json").read_text())[0]
        operator = Operator(product.url, login["username"], login["password"])
        measure("preview_p95_ms", operator, RULES[options.size])
    if options.size == "full":  # a process joins one product only
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}
        subprocess.run([sys.executable, "-m", "benchmarks.preview", "--million"], env=environment, check=True)


def wait_until_loaded(product: Product) -> None:
    """Until the demo's job is done and every stream has applied it."""
    from hetang.platform.models import JobRun

    deadline = time.monotonic() + LOADED_S
    while (run := JobRun.objects.filter(kind="demo.load").first()) is None or run.state != JobRun.DONE:
        if time.monotonic() > deadline or (run and run.state == JobRun.FAILED):
            raise RuntimeError(f"the demo was not loaded: {run and run.error}")
        time.sleep(0.5)
    product.wait_until_applied(120)


class Operator:
    """A browser's part: logged in, posting the builder's form."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60, follow_redirects=True)
        self.client.get("/login")
        page = self.client.post("/login", data={"username": username, "password": password, **self._token()})
        if "/login" in str(page.url):
            raise RuntimeError("the console did not let the operator in")
        self.client.get("/audiences/new").raise_for_status()

    def preview(self, rule: Leaf) -> float:
        """Milliseconds from request to answer. Raises when the answer holds no count."""
        form = {"tree": json.dumps(rule), "past": "[]", "do": "draw", **self._token()}
        started = time.perf_counter()
        answer = self.client.post("/audiences/build", data=form)
        took = (time.perf_counter() - started) * 1000
        answer.raise_for_status()
        if 'class="builder-count"' not in answer.text:
            raise RuntimeError(answer.text[-2000:])
        return took

    def _token(self) -> dict[str, str]:
        page = self.client.get("/audiences/new") if self.client.cookies.get("sessionid") else self.client.get("/login")
        mark = 'name="csrfmiddlewaretoken" value="'
        return {"csrfmiddlewaretoken": page.text.split(mark, 1)[1].split('"', 1)[0]}


def measure(name: str, operator: Operator, rules: int) -> None:
    """Time `rules` rules of one to six new conditions each, after ten that warm the processes."""
    draw = Drawer(random.Random(20260101))
    for _ in range(10):
        operator.preview(draw.rule(3))
    times = [operator.preview(draw.rule(1 + number % 6)) for number in range(rules)]
    cuts = statistics.quantiles(times, n=100)
    report(
        name,
        cuts[94],
        "ms",
        baseline=TARGET_MS,
        p50_ms=round(cuts[49], 1),
        max_ms=round(max(times), 1),
        rules=rules,
        caches="every condition is new; live sets on",
    )


class Drawer:
    """Random rules over what the brand has; a condition that was drawn before is drawn again."""

    def __init__(self, rng: random.Random) -> None:
        from hetang.audiences.catalogues import catalogue

        known = catalogue(fresh=True)
        self.rng = rng
        self.tags, self.stores = list(known.tags), list(known.stores)
        self.categories, self.staff = list(known.categories), list(known.staff)
        self.drawn: set[str] = set()

    def rule(self, conditions: int) -> Leaf:
        leaves = [self._new() for _ in range(conditions)]
        if conditions < 3:
            return {"all": leaves}
        excluded = {"not": {"any": leaves[-1:]}}
        return {"all": [leaves[0], {"any": leaves[1:-1]}, excluded]}

    def _new(self) -> Leaf:
        while True:
            leaf = self._leaf()
            text = json.dumps(leaf)
            if text not in self.drawn:
                self.drawn.add(text)
                return leaf

    def _leaf(self) -> Leaf:
        rng = self.rng
        offers = [self._bought, self._spent, self._metric, self._date, self._received, self._store]
        if self.tags:
            offers.append(self._tag)
        return rng.choice(offers)()

    def _bought(self) -> Leaf:
        rng = self.rng
        leaf = {"type": "behaviour", "event": "bought", "op": "at_least", "value": rng.randint(1, 6)}
        return {**leaf, "days": rng.randint(5, 365), "category": rng.choice(self.categories)}

    def _spent(self) -> Leaf:
        rng = self.rng
        leaf = {"type": "behaviour", "event": "spent", "op": rng.choice(["at_least", "at_most"])}
        return {**leaf, "value": rng.randint(100, 50_000), "days": rng.randint(5, 365)}

    def _metric(self) -> Leaf:
        rng = self.rng
        metric = rng.choice(["gmv", "average_order_value", "orders", "orders_90", "days_since_last_order"])
        return {"type": "metric", "metric": metric, "op": rng.choice([">", "<="]), "value": rng.randint(1, 60_000)}

    def _date(self) -> Leaf:
        op = self.rng.choice(["within_last", "more_than_ago"])
        return {"type": "date", "of": self.rng.choice(["first_order", "last_order"]), "op": op, "days": self._days()}

    def _received(self) -> Leaf:
        return {"type": "behaviour", "event": "received", "op": "at_most", "value": 0, "days": self._days()}

    def _store(self) -> Leaf:
        op = self.rng.choice(["home", "favourite", "bought_at"])
        return {"type": "store", "op": op, "stores": self.rng.sample(self.stores, k=min(3, len(self.stores)))}

    def _tag(self) -> Leaf:
        count = min(len(self.tags), 1 + self.rng.randrange(4))
        tags = self.rng.sample(self.tags, k=count)
        leaf = {"type": "tag", "op": self.rng.choice(["any", "all", "none"]), "tags": tags}
        # There are few tags: together with a fresh figure the condition is new.
        return {"any": [leaf, {"type": "metric", "metric": "refunded", "op": ">", "value": self.rng.randint(1, 10**9)}]}

    def _days(self) -> int:
        return self.rng.randint(2, 2000)


def make_user(name: str) -> str:
    """A user of headquarters; returns the password."""
    from datetime import UTC, datetime

    from hetang.platform.models import Grant, OrgNode, User
    from hetang.platform.roles import HEADQUARTERS

    user = User.objects.create_user(name, "benchmark-only", created_at=datetime.now(UTC))
    Grant.objects.create(user=user, role=HEADQUARTERS, org_node=OrgNode.objects.get(parent=None))
    return "benchmark-only"


def fill() -> None:
    """A million customers with tags, consents and stores in PostgreSQL, seven million orders in the history."""
    started = time.monotonic()
    from django.db import connection

    from hetang.commerce import history
    from hetang.platform import clickhouse

    history.ensure_schema()
    for statement in statements("preview_million.sql"):
        if statement.strip().startswith("-- clickhouse"):
            clickhouse.command(statement)
        else:
            with connection.cursor() as cursor:
                cursor.execute(statement)
    print(f"a million people in {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
