"""How many order lines a second are imported, from opening the CSV to correct metrics.

PostgreSQL, the engine and the streams run as processes on an own temporary home. The Complete Journey is written as
one CSV file, chosen, mapped and checked like any file; the clock runs from the start of the import's job (it opens the
CSV) until every stream has applied every fact, the columnar history included. Then the totals must be exact.

`small` takes the first 300,000 lines. `check_s` is the check (导入预检) before it, `resumed_s` a run of the finished
import again, which finds everything written.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import report

LINES = {"small": 300_000, "full": 1_469_307}
TARGET = 30_000
COLUMNS = {
    **{"order": "basket_id", "placed_at": "transaction_timestamp", "member": "household_id", "store": "store_id"},
    **{"sku": "product_id", "quantity": "quantity", "amount": "sales_value", "discount": "retail_disc"},
}


class Quiet:
    """Nobody watches."""

    def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...
    def checkpoint(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=LINES, default="small")
    lines = LINES[parser.parse_args().size]
    folder = tempfile.mkdtemp(prefix="hetang-bench-")
    os.environ["HETANG_HOME"] = folder
    from hetang.platform import environment, supervisor

    try:
        with supervisor.servers(environment.ensure_home()):
            import django

            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
            django.setup()
            measure(Path(folder), lines)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(home: Path, lines: int) -> None:
    """Check, run and verify one import; prints the figures."""
    from hetang.imports import services

    expected = write_csv(home / "imports" / "lines.csv", lines)
    owner = prepared(home / "imports" / "lines.csv")
    started = time.monotonic()
    services.check_now(owner, Quiet())
    report("check_s", time.monotonic() - started, "s", lines=lines)
    services.confirm(owner, services.unconfirmed(owner))
    with Streams() as streams:
        started = time.monotonic()
        services.run_now(owner, Quiet())
        written = time.monotonic() - started
        streams.wait_until_applied()
        seconds = time.monotonic() - started
    assert figures() == expected, (figures(), expected)
    busy = round(os.getloadavg()[0], 1)  # above 3 or so, something else ran on the two cores
    more = {"lines": lines, "written_s": round(written, 1), "seconds": round(seconds, 1), "load_average": busy}
    report("lines_per_s", lines / seconds, "lines/s", baseline=TARGET, **more)
    again(owner)


def again(owner: Any) -> None:
    """The same file once more, as after a crash at the very end."""
    from hetang.imports import running

    started = time.monotonic()
    running.run(owner, Quiet())
    report("resumed_s", time.monotonic() - started, "s")


def write_csv(path: Path, lines: int) -> dict[str, int]:
    """The first lines of the year as a CSV file, and what must come out of them."""
    import pyarrow.compute as pc
    from pyarrow import csv

    from hetang.demo import source

    table = source.table("transactions").slice(0, lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(table, path)
    cents = pc.sum(pc.round(pc.multiply(table["sales_value"], 100))).as_py()
    return {
        "orders": pc.count_distinct(table["basket_id"]).as_py(),
        "people": pc.count_distinct(table["household_id"]).as_py(),
        "cents": int(cents),
        "lines": lines,
        "history_cents": int(cents),
    }


def prepared(path: Path) -> Any:
    """Brand and stores as they must be before orders come; the file chosen and mapped."""
    import msgspec

    from hetang.demo import source
    from hetang.imports import mapping, services
    from hetang.platform import brand
    from hetang.platform.models import Brand
    from hetang.resources.rules import StoreRow
    from hetang.resources.services import upsert_stores

    values = {"name": "Benchmark", "currency": source.CURRENCY, "time_zone": source.TIME_ZONE}
    Brand.objects.update_or_create(id=1, defaults=values)
    brand.forget()
    codes = source.table("transactions", ["store_id"])["store_id"].unique().to_pylist()
    upsert_stores(StoreRow(str(code), f"Store {code}") for code in codes)
    owner = services.from_path("orders", str(path))
    suggested = mapping.decode(owner.mapping)
    services.save_mapping(
        owner, msgspec.structs.replace(suggested, columns=COLUMNS, time_zone="UTC", source="complete-journey")
    )
    return owner


class Streams:
    """A process that applies facts as the worker does, next to the import."""

    def __enter__(self) -> Streams:
        import subprocess
        import sys

        code = (
            "import django, time; django.setup()\n"
            "from hetang.facts.subscriptions import run_once\n"
            "while True:\n    run_once() or time.sleep(0.05)\n"
        )
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
        self._process = subprocess.Popen([sys.executable, "-c", code], env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait_until_applied(self) -> None:
        """Until every stream stands at the end of the log."""
        from hetang.facts.queries import lags

        while True:
            waiting = lags()
            for lag in waiting:
                assert not lag.error, (lag.name, lag.error)
            if not any(lag.waiting for lag in waiting):
                return
            time.sleep(0.05)


def figures() -> dict[str, int]:
    """What the product now says."""
    from django.db import connection

    from hetang.platform import clickhouse

    with connection.cursor() as cursor:
        cursor.execute("select count(*), sum(lines) from commerce_order")
        orders, lines = cursor.fetchone()
        cursor.execute("select count(*), sum(gmv) from commerce_customermetric")
        people, cents = cursor.fetchone()
    ((history,),) = clickhouse.rows("select sum(amount) from order_lines")
    return {
        "orders": orders,
        "people": people,
        "cents": int(cents),
        "lines": int(lines),
        "history_cents": int(history),
    }


if __name__ == "__main__":
    main()
