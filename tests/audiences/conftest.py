"""An engine process of its own for these tests: ClickHouse's protocol over a fresh chDB directory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from hetang.platform import clickhouse
from hetang.platform.engine import free_port

_ENGINE = """
import sys
from django.conf import settings
settings.ENGINE_SERVICES = {}
from hetang.platform.engine import run
sys.exit(run(int(sys.argv[1])))
"""


@pytest.fixture(scope="session")
def engine_process() -> Iterator[str]:
    """The address of a running engine."""
    if os.environ.get("HETANG_CLICKHOUSE_URL"):
        yield os.environ["HETANG_CLICKHOUSE_URL"]
        return
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    process = subprocess.Popen([sys.executable, "-c", _ENGINE, str(port)], env=environment)
    os.environ["HETANG_CLICKHOUSE_URL"] = os.environ["HETANG_SETS_URL"] = address
    deadline = time.monotonic() + 60
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the engine did not start")
        time.sleep(0.05)
    yield address
    process.terminate()
    process.wait(20)
    del os.environ["HETANG_CLICKHOUSE_URL"], os.environ["HETANG_SETS_URL"]
    clickhouse.forget()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=2) as answer:
            return bool(answer.read().startswith(b"Ok"))
    except OSError:
        return False


_DAYTIME = "DateTime64(3,'UTC')"
TABLES = {
    "orders": f"""customer UInt32, placed_at {_DAYTIME}, day Date, source String, order_key String, store String,
        channel String, net Int64, discount Int64, lines UInt32""",
    "order_lines": f"""customer UInt32, placed_at {_DAYTIME}, day Date, source String, order_key String, store String,
        channel String, sku String, category String, quantity Decimal(14,3), amount Int64""",
    "visits": f"customer UInt32, at {_DAYTIME}, day Date, store String, channel String",
    "touches": f"""customer UInt32, at {_DAYTIME}, day Date, channel String, programme Int64, message_class String,
        state String""",
    "customer_profile": f"""customer UInt32, version UInt64, home_store String, owner String,
        first_order_at Nullable({_DAYTIME}), last_order_at Nullable({_DAYTIME}), orders UInt32, gmv Int64,
        refunded Int64, visits UInt32, last_visit_at Nullable({_DAYTIME}), favourite_store String,
        favourite_category String, attributes Map(String,String), alive UInt8""",
}


@pytest.fixture(scope="session")
def history(engine_process: str) -> None:
    """The history tables, empty."""
    for name, columns in TABLES.items():
        engine = "ReplacingMergeTree(version)" if name == "customer_profile" else "MergeTree"
        clickhouse.command(f"drop table if exists {name} sync")
        clickhouse.command(f"create table {name} ({columns}) engine {engine} order by customer")
