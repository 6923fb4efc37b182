"""The engine process through the clients that the product uses."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from hetang.platform import clickhouse, engine_client, environment
from tests.processes import EngineProcess

pytestmark = [pytest.mark.engine, pytest.mark.django_db]


def test_a_query_with_parameters_comes_back_typed_and_aware(engine: str) -> None:
    found = clickhouse.rows(
        "select {a:UInt32} + 1, {names:Array(String)}, toDateTime64('2026-02-03 04:05:06', 3, 'UTC')",
        {"a": 41, "names": ["荷", "塘's"]},
    )
    assert found == [(42, ["荷", "塘's"], dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC))]


def test_an_insert_with_the_same_token_counts_once(clickhouse_table: str) -> None:
    for _ in range(3):
        clickhouse.insert(clickhouse_table, ["a", "b"], [(1, "x"), (2, "塘")], token="window-1")
    clickhouse.insert(clickhouse_table, ["a", "b"], [(1, "x"), (2, "塘")], token="window-2")
    assert clickhouse.rows(f"select a, b from {clickhouse_table} order by a, b") == [
        *((1, "x"), (1, "x"), (2, "塘"), (2, "塘"))
    ]


def test_a_thousand_rows_pass_through_chunks(clickhouse_table: str) -> None:
    clickhouse.insert(clickhouse_table, ["a", "b"], [(n, "v" * 500) for n in range(10_000)], token="many")
    assert clickhouse.rows(f"select count(), sum(a) from {clickhouse_table}") == [(10_000, 49_995_000)]


def test_settings_of_one_request_do_not_reach_the_next(engine: str) -> None:
    connected = clickhouse.client()
    assert connected.command("select getSetting('max_block_size')", settings={"max_block_size": 77}) == 77
    assert connected.command("select getSetting('max_block_size')") == 65409


def test_a_threads_connections_end_with_it(engine: str) -> None:
    from clickhouse_connect.driver import httputil

    sockets: list[Any] = []

    def ask() -> None:
        clickhouse.command("select 1")
        pools = clickhouse.client().http.pools  # type: ignore[attr-defined]
        connections = [pools[key].pool.queue for key in pools.keys()]  # noqa: SIM118 - no mapping that can be iterated
        sockets.extend(one.sock for queue in connections for one in queue if one is not None)

    before = len(httputil.all_managers)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert [one.fileno() for one in sockets] == [-1]
    assert len(httputil.all_managers) == before
    assert clickhouse.command("select 1") == 1


def test_an_error_names_itself(engine: str) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as raised:
        clickhouse.rows("select * from no_such_table")
    assert raised.value.code == 60


def test_every_query_is_bounded(engine: str) -> None:
    assert int(clickhouse.command("select getSetting('max_memory_usage')")) >= 1 << 30
    assert clickhouse.command("select getSetting('max_threads')") == os.cpu_count()
    durable = "select value from system.merge_tree_settings where name = 'fsync_after_insert'"
    assert clickhouse.command(durable) == 1


def test_the_unmodified_client_with_compression_works(engine: str, clickhouse_table: str) -> None:
    import clickhouse_connect

    secret = environment.secrets_of_home().engine
    port = int(engine.rsplit(":", 1)[1])
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port, password=secret, database="hetang")
    client.insert(clickhouse_table, [[7, "seven"]], column_names=["a", "b"])
    assert client.query(f"select b from {clickhouse_table}").result_rows == [("seven",)]
    client.close()


def test_strangers_are_refused(engine: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-ClickHouse-Key": "wrong"}):
        request = urllib.request.Request(f"{engine}/?query=select+1", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 401
        refused.value.close()


def test_an_unknown_service_is_an_error_with_a_code(engine: str) -> None:
    with pytest.raises(engine_client.ServiceError) as refused:
        engine_client.call("nothing", "here", {})
    assert refused.value.code == "unknown_service"


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = EngineProcess(tmp_path)
    process.start()
    _ask(process, tmp_path, "create table hetang.t (a UInt32) engine = MergeTree order by a")
    for number in range(20):
        _ask(process, tmp_path, f"insert into hetang.t values ({number})")
    process.kill()
    process.start()
    assert _ask(process, tmp_path, "select count() from hetang.t") == "20\n"
    process.stop()


def test_with_an_external_clickhouse_only_services_run(engine: str, tmp_path: Path) -> None:
    process = EngineProcess(tmp_path, clickhouse_url=engine)
    process.start()
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(process, tmp_path, "select 1")
    assert refused.value.code == 404
    refused.value.close()
    assert not (tmp_path / "clickhouse").exists()
    process.stop()


@pytest.fixture
def clickhouse_table(clickhouse: str) -> Iterator[str]:
    from hetang.platform import clickhouse as store

    store.command("drop table if exists proof")
    store.command("create table proof (a UInt32, b String) engine = MergeTree order by a")
    store.forget()
    yield "proof"
    store.command("drop table proof")


def _ask(process: EngineProcess, home: Path, statement: str) -> str:
    secret = json.loads((home / "secrets.json").read_text())["engine"]
    request = urllib.request.Request(
        process.address, data=statement.encode(), headers={"Authorization": f"Bearer {secret}"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read().decode()


def test_long_parameters_travel_as_a_form(engine: str) -> None:
    names = [f"塘 {number}" for number in range(20_000)]
    assert clickhouse.rows("select length({names:Array(String)})", {"names": names}) == [(20_000,)]
