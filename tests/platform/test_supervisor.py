"""The whole product as processes: killed, started again, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import psutil
import psycopg
import pytest

from hetang.platform.ports import free_port
from tests import embedded, template
from tests.processes import EngineProcess, Product, alive, answers, clean_environment, wait_until

PHONE, NAME, EMAIL = "13812345678", "王小明", "xiaoming.wang@example.org"
pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One running product for the tests of this module; each leaves it running."""
    public = f"127.0.0.1:{free_port()}"
    running = Product(tmp_path_factory.mktemp("home"), environment={"HETANG_PUBLIC_LISTEN": public})
    running.start()
    yield running
    assert running.process is not None
    if running.process.poll() is None:
        running.stop()


def test_a_second_start_on_the_same_home_is_refused(product: Product, tmp_path: Path) -> None:
    second = Product(product.home)
    second.printed = tmp_path / "second.log"
    assert f"Hetang already runs on {product.home}" in second.refused()
    assert answers(f"{product.address}/login", b"<!doctype")


def test_the_public_listener_has_a_port_of_its_own(product: Product) -> None:
    public = f"http://{product.environment['HETANG_PUBLIC_LISTEN']}"
    wait_until(lambda: answers(f"{public}/healthz", b"ok"), 30)
    assert httpx.get(f"{public}/login").text == "not found\n"
    assert httpx.get(f"{public}/metrics").status_code == 404
    assert httpx.post(f"{public}/api/v1/facts").status_code == 401
    resident = b'hetang_process_resident_bytes{process="public"}'
    wait_until(lambda: resident in httpx.get(f"{product.address}/metrics").content, 10)
    assert httpx.get(f"{product.address}/readyz").json()["state"] == "ready"


def test_a_taken_port_is_refused_with_a_way_out(product: Product, tmp_path: Path) -> None:
    said = Product(tmp_path, port=product.port).refused()
    assert f"port {product.port} of 127.0.0.1 is taken; choose another --port or --host" in said


def test_the_embedded_servers_listen_on_loopback_and_a_private_socket_only(product: Product) -> None:
    addresses = set()
    assert product.process is not None
    for pid in product.tree():
        with contextlib.suppress(psutil.Error):  # a server of one connection may be gone by now
            connections = psutil.Process(pid).net_connections("inet")
            addresses |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert (product.home / "run").stat().st_mode & 0o077 == 0
    assert (product.home / "secrets.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", ["hetang.cli engine", "granian", "hetang.cli worker"])
def test_a_killed_child_comes_back(product: Product, part: str) -> None:
    killed = product.child(part)
    below = [child.pid for child in killed.children(recursive=True)]
    killed.kill()
    wait_until(lambda: _is_new(product, part, killed.pid), 60)
    wait_until(lambda: not alive(below), 30)
    wait_until(lambda: answers(f"{product.address}/login", b"<!doctype"), 60)


def test_the_worker_takes_a_run_that_was_left_and_carries_it_out_in_a_process_of_its_own(product: Product) -> None:
    """The run's queue entry is lost (none was made), its import does not exist: it must end as failed, once."""
    with psycopg.connect(product.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into platform_jobrun (public_id, kind, title, state, stage, done, cancel_requested, arguments,"
            " result, error, created_at, beat_at, owner, attempts)"
            " values (gen_random_uuid(), 'imports.check', 'Left', 'waiting', '', 0, false, '{\"import\": -1}',"
            " '{}', '', now(), now() - interval '7 seconds', '', 0)"
        )
    wait_until(lambda: _run(product)[0] == "failed", 60, lambda: str(_run(product)))
    state, attempts, owner = _run(product)
    assert (state, attempts) == ("failed", 1)
    worker = product.child("hetang.cli worker").pid
    assert owner.split("/")[1] not in (str(worker), "")


def test_what_postgresql_acknowledged_survives_its_kill(product: Product) -> None:
    with psycopg.connect(product.database_url, autocommit=True) as connection:
        connection.execute("create table proof (n bigint primary key)")
    acknowledged: list[int] = []
    writer = threading.Thread(target=_write_until_refused, args=[product.database_url, acknowledged])
    writer.start()
    wait_until(lambda: len(acknowledged) > 100, 60)
    product.child("bin/postgres").kill()
    writer.join()
    wait_until(lambda: _rows(product.database_url) is not None, 60)
    rows = _rows(product.database_url)
    assert rows is not None
    assert set(acknowledged) <= rows
    wait_until(lambda: answers(f"{product.address}/login", b"<!doctype"), 60)


def test_nothing_survives_the_supervisors_kill_and_the_next_start_finds_everything(product: Product) -> None:
    assert product.process is not None
    with psycopg.connect(product.database_url, autocommit=True) as connection:
        connection.execute("create table if not exists proof (n bigint primary key)")
        connection.execute("insert into proof values (-1)")
    tree = product.tree()
    product.process.send_signal(signal.SIGKILL)
    product.process.wait()
    went: list[float] = []
    watcher = threading.Thread(target=lambda: went.append(wait_until(lambda: not alive(tree), 60)))
    watcher.start()
    product.start()  # at once: children of the killed one may still be on their way out
    assert alive(tree) == []
    watcher.join()
    assert went[0] < 12, "a worker without supervisor and database waited for its jobs to be handed back"
    rows = _rows(product.database_url)
    assert rows is not None
    assert -1 in rows


def test_somebody_added_while_it_runs_may_log_in(product: Product) -> None:
    added = subprocess.run(
        [sys.executable, "-m", "hetang.cli", "user", "add", "zhou", "--generate", "--home", str(product.home)],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    password = added.stdout.splitlines()[1].removeprefix("password 密码: ")
    with httpx.Client(base_url=product.address, headers={"Referer": product.address}) as client:
        client.get("/login")
        form = {"username": "zhou", "password": password, "csrfmiddlewaretoken": client.cookies["hetang_csrf"]}
        assert client.post("/login", data={**form, "password": "wrong"}).status_code == 422
        entered = client.post("/login", data=form)
        assert (entered.status_code, entered.headers["location"]) == (302, "/")
        _work_with_personal_data(client, product)
    _nothing_personal_in_the_logs(product)


def _work_with_personal_data(client: httpx.Client, product: Product) -> None:
    """What people and tills send when all goes well, and when they send it to the wrong place."""
    client.post("/login", data={"username": PHONE, "password": NAME})
    for address in ("/customers/", "/search", "/customers/" + PHONE, f"/l/{PHONE}", "/operations/held/"):
        client.get(address, params={"q": PHONE, "name": NAME, "state": "\0"})
    fact = {
        "kind": "customer.identified", "key": PHONE, "occurred_at": "2026-01-01T10:00:00+08:00", "name": NAME,
        "who": [{"kind": "phone", "value": PHONE}, {"kind": "email", "value": EMAIL}],
    }  # fmt: skip
    key = _api_key(client, product)
    known = {**fact, "kind": "customer.described", "body": {"attributes": {"name": NAME}}}
    del known["name"]
    sent = client.post("/api/v1/facts", json={"source": "till", "facts": [known]}, headers=key)
    assert sent.status_code == 200, sent.text
    for facts in ([fact], [fact, {**fact, "who": NAME}], [{**fact, "occurred_at": NAME}]):
        sent = client.post("/api/v1/facts", json={"source": "till", "facts": facts}, headers=key)
        assert sent.status_code in (200, 422)
    client.post("/api/v1/facts", content=NAME.encode(), headers=key)
    client.post("/api/v1/facts", json=[fact], headers={"Authorization": f"Bearer {PHONE}"})


def _api_key(client: httpx.Client, product: Product) -> dict[str, str]:
    with psycopg.connect(product.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into platform_grant (user_id, role, org_node_id)"
            " select user_id, 'administrator', org_node_id from platform_grant limit 1"
        )
    form = {"name": "till", "scopes": "facts:write", "requests_a_minute": "60", "facts_a_minute": "5000"}
    form["csrfmiddlewaretoken"] = client.cookies["hetang_csrf"]
    page = client.post("/settings/keys/", data=form).text
    found = re.search(r"htk_[\w-]{30,}", page)
    assert found, page[:500]
    return {"Authorization": f"Bearer {found[0]}"}


def _is_known(product: Product) -> bool:
    with psycopg.connect(product.database_url) as connection:
        return connection.execute("select from customers_identity where kind = 'email'").rowcount == 1


def _nothing_personal_in_the_logs(product: Product) -> None:
    wait_until(lambda: _is_known(product), 60)  # the streams have applied what came in
    logs = {path.name: path.read_text() for path in [*(product.home / "logs").iterdir(), product.printed]}
    for value in (PHONE, NAME, EMAIL, quote(NAME), json.dumps(NAME)[1:-1], quote(EMAIL)):
        assert [name for name, text in logs.items() if value in text] == [], value
    requests = [json.loads(line) for line in logs["web.log"].splitlines() if '"route"' in line]
    assert {"api:send_facts", "customers:list", "console:login"} <= {one["route"] for one in requests}
    assert [one for one in requests if one["route"] == "customers:list"][-1]["user_id"]


def test_sigterm_stops_everything_cleanly(product: Product) -> None:
    tree = product.tree()
    assert product.stop() == 0
    assert {pid: tree[pid] for pid in alive(tree)} == {}
    assert "database system is shut down" in (product.home / "logs" / "postgres.log").read_text()


def test_a_home_with_pending_migrations_is_refused_and_upgrade_named(product: Product) -> None:
    environment = clean_environment(HETANG_HOME=str(product.home))
    forget = (
        "import os; from pathlib import Path; from hetang.platform import supervisor; import psycopg\n"
        "with supervisor.database(Path(os.environ['HETANG_HOME'])) as url, psycopg.connect(url) as c:\n"
        '    c.execute("insert into platform_user (username, password, display_name, language, is_active,'
        " must_change_password, created_at)"
        " values ('lin', '', '', 'en', true, false, now())\")\n"
        "    c.execute('drop table console_loginfailure, console_listcolumns, console_savedview, console_dismissal')\n"
        "    c.execute(\"delete from django_migrations where app = 'console'\")\n"
    )
    subprocess.run([sys.executable, "-c", forget], env=environment, check=True, timeout=150)
    told = r"\b\d migrations are pending \(first: console\.0001_initial\); run `hetang upgrade`"
    assert re.search(told, product.refused())
    upgraded = subprocess.run(
        [sys.executable, "-m", "hetang.cli", "upgrade", "--without-rehearsal"],  # tests/platform/backups rehearse
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert any(line.startswith("console.0002_lists") for line in upgraded.stdout.splitlines())


def test_both_servers_can_be_elsewhere(tmp_path: Path) -> None:
    """ClickHouse stands in as a second front of our own: no current server could be had here."""
    database = f"elsewhere_{os.getpid()}"
    with psycopg.connect(os.environ["HETANG_DATABASE_URL"], autocommit=True) as connection:
        # Migrated already where that costs a copy; `hetang up` finds nothing to do then.
        origin = template.MIGRATED if embedded.own_copy() else "template0"
        connection.execute(f"create database {database} template {origin}")
    front = EngineProcess(tmp_path / "front", database=database)
    front.start()
    secret = json.loads((tmp_path / "front" / "secrets.json").read_text())["engine"]
    elsewhere = {
        "HETANG_DATABASE_URL": urlunsplit(urlsplit(os.environ["HETANG_DATABASE_URL"])._replace(path=f"/{database}")),
        "HETANG_CLICKHOUSE_URL": f"http://default:{secret}@127.0.0.1:{front.port}/hetang",
    }
    product = Product(tmp_path / "home", environment=elsewhere)
    product.start()
    assert not (product.home / "postgres").exists()
    assert not (product.home / "clickhouse").exists()
    assert [line for line in product.tree().values() if "bin/postgres" in line] == []
    wait_until(lambda: "orders" in _tables(front.address, secret), 60)
    assert product.stop() == 0
    front.stop()


def _tables(address: str, secret: str) -> str:
    request = urllib.request.Request(
        f"{address}/?database=hetang", data=b"show tables", headers={"Authorization": f"Bearer {secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def _run(product: Product) -> tuple[str, int, str]:
    with psycopg.connect(product.database_url) as connection:
        row = connection.execute("select state, attempts, owner from platform_jobrun where title = 'Left'").fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _is_new(product: Product, part: str, old: int) -> bool:
    try:
        return product.child(part).pid != old
    except LookupError:
        return False


def _write_until_refused(url: str, acknowledged: list[int]) -> None:
    with contextlib.suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as connection:
        for number in range(1_000_000):
            connection.execute("insert into proof values (%s)", [number])
            acknowledged.append(number)


def _rows(url: str) -> set[int] | None:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return {row[0] for row in connection.execute("select n from proof")}
    except psycopg.Error:
        return None
