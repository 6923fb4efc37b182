"""How many facts a second each stream applies, one stream at a time, on an embedded server of its own.

Facts of mostly known people: nine orders of two lines in ten facts, one visit; in the first round everybody is new.
The figures are of the streams alone; intake is measured by benchmarks.intake. `cpu_s` is the processor time of this
process and its PostgreSQL backend, which says more than the clock on a machine that does other things as well.

    python -m benchmarks.apply --size small|full
"""

from __future__ import annotations

import argparse
import atexit
import os
import random
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SIZES = {"small": (20_000, 5_000), "full": (200_000, 50_000)}  # facts a round, people
TARGET = 25_000.0
START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    size = SIZES[parser.parse_args().size]
    _start()
    for number, title in enumerate(("new", "known")):
        _record(number, *size)
        _measure(title, size[0])
    _check()


def _start() -> None:
    """An own home with PostgreSQL and the engine, migrated."""
    home = Path(tempfile.mkdtemp(prefix="hetang-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "hetang.settings"
    from hetang.platform import postgres

    server = postgres.start(home)
    atexit.register(server.stop)
    os.environ["HETANG_DATABASE_URL"] = server.url
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.processes import EngineProcess

    engine = EngineProcess(home, clickhouse_url="")
    engine.start()
    atexit.register(engine.stop)
    os.environ["HETANG_SETS_URL"] = os.environ["HETANG_CLICKHOUSE_URL"] = engine.address
    from hetang.commerce import history
    from hetang.resources import services
    from hetang.resources.rules import StoreRow

    history.ensure_schema()
    services.upsert_stores([StoreRow(str(code)) for code in range(300)])


def _record(number: int, facts: int, people: int) -> None:
    from hetang.facts import intake
    from hetang.facts.intake import Draft

    chance = random.Random(number)
    for first in range(0, facts, 1000):
        drafts = []
        for index in range(first, first + 1000):
            person, store = chance.randrange(people), str(chance.randrange(300))
            who = [("phone", f"138{person:08}")] if person % 2 else [("member", str(person))]
            at = START + timedelta(seconds=chance.randrange(86400 * 90))
            if index % 10:
                lines = [
                    {"sku": f"s{chance.randrange(5000)}", "category": f"c{chance.randrange(40)}", "amount": 100},
                    {"sku": f"s{chance.randrange(5000)}", "category": f"c{chance.randrange(40)}", "amount": 250},
                ]
                drafts.append(
                    Draft("order.placed", f"{number}-{index}", at, who, {"lines": lines, "net": 350, "store": store})
                )
            else:
                drafts.append(Draft("visit.recorded", f"{number}-{index}", at, who, {"store": store}))
        outcome = intake.record("bench", drafts)
        assert outcome.accepted == 1000, outcome


def _measure(title: str, facts: int) -> None:
    from benchmarks.report import report
    from hetang.commerce import history
    from hetang.facts.subscriptions import advance, all_subscriptions

    for subscription in all_subscriptions():
        if subscription.name == "history":
            history.ready()
        slowest, started, cpu = 0.0, time.perf_counter(), _cpu_seconds()
        applied, before = 0, started
        while done := advance(subscription):
            now = time.perf_counter()
            applied, slowest, before = applied + done, max(slowest, now - before), now
        seconds = time.perf_counter() - started
        assert applied == facts, (subscription.name, applied)
        report(
            f"{subscription.name}_{title}_facts_per_s",
            applied / seconds,
            "facts/s",
            baseline=TARGET,
            slowest_window_s=round(slowest, 3),
            cpu_s=round(_cpu_seconds() - cpu, 3),
            batch=subscription.batch,
        )


def _check() -> None:
    """The figures count only if the stores agree: orders, money and people in the sums and in both stores."""
    from django.db import connection

    from hetang.platform import clickhouse

    with connection.cursor() as cursor:
        cursor.execute("select count(*), sum(net), count(distinct customer_id) from commerce_order")
        orders = cursor.fetchone()
        cursor.execute("select sum(orders), sum(gmv), count(*) filter (where orders > 0) from commerce_customermetric")
        sums = cursor.fetchone()
    columns = clickhouse.rows("select count(), sum(net), uniqExact(customer) from orders")[0]
    assert tuple(map(int, orders)) == tuple(map(int, sums)) == tuple(map(int, columns)), (orders, sums, columns)


def _cpu_seconds() -> float:
    import psutil
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (backend,) = cursor.fetchone()
    own, server = psutil.Process().cpu_times(), psutil.Process(backend).cpu_times()
    return float(own.user + own.system + server.user + server.system)


if __name__ == "__main__":
    main()
