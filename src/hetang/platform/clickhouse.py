"""The columnar store: ClickHouse over HTTP, whether our own engine process or a server that the operator named.

Tables live in the database of the URL (`hetang` in the embedded engine), so SQL names them without a database.
"""

from __future__ import annotations

import atexit
import logging
import threading
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hetang.platform import environment

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

log = logging.getLogger(__name__)

DATABASE = "hetang"
USER = "default"
_thread = threading.local()


def client() -> Client:
    """This thread's client; the first call connects (about 10 ms). Raises the client's errors if unreachable."""
    return _of_thread().client


def command(sql: str, params: dict[str, Any] | None = None) -> Any:
    """Run a statement; returns its single value, if it has one. Parameters are `{name:Type}` in the SQL."""
    return client().command(sql, parameters=params)


def rows(sql: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Rows of a query. Times come back aware (UTC). Parameters are `{name:Type}` in the SQL; never inline id lists."""
    return [tuple(row) for row in client().query(sql, parameters=params).result_rows]


def insert(table: str, columns: Sequence[str], data: Sequence[Sequence[Any]], token: str) -> None:
    """Append rows, exactly once per `token`: a repeated insert with the same token is dropped by the table.

    The table needs `non_replicated_deduplication_window` (the embedded engine sets 10,000 for all).
    """
    if not data:
        return
    client().insert(
        table,
        data,
        column_names=list(columns),
        column_type_names=_types(table, tuple(columns)),
        settings={"insert_deduplication_token": token, "async_insert": 0},
    )


def available() -> bool:
    """Whether the store answers (its ping, within two seconds)."""
    try:
        with urllib.request.urlopen(f"{_address(_url())}/ping", timeout=2) as answer:  # noqa: S310 - http(s) by _address
            return bool(answer.status == 200 and answer.read(3) == b"Ok.")  # "Starting" is not there yet
    except (OSError, LookupError):
        return False


def forget() -> None:
    """Drop this thread's client and what it knows of tables (after a schema change, or in tests)."""
    _thread.held = None


atexit.register(forget)  # the main thread's; that of any other goes with its thread


class _Held:
    """One thread's client over a pool of its own, and the column types it has read. It ends with its thread: the pool
    that the driver shares would keep the connections of ended threads until the process ends."""

    def __init__(self, url: str) -> None:
        from clickhouse_connect.driver import httputil

        self.url = url
        self.types: dict[str, dict[str, str]] = {}
        self._pool = httputil.get_pool_manager(maxsize=2)
        self._managers = httputil.all_managers
        self.client = _connect(url, self._pool)

    def __del__(self) -> None:
        if "_pool" in self.__dict__:
            self._pool.clear()
            self._managers.pop(self._pool, None)


def _of_thread() -> _Held:
    url = _url()
    held: _Held | None = getattr(_thread, "held", None)
    if held is None or held.url != url:
        held = _thread.held = _Held(url)
    return held


def _url() -> str:
    urls = environment.clickhouse_urls()
    if not urls:
        raise LookupError("HETANG_CLICKHOUSE_URL is not set: this process was not started by `hetang up`")
    if len(urls) > 1:
        raise LookupError("HETANG_CLICKHOUSE_URL names several servers; shards are not supported yet")
    return urls[0]


def _connect(url: str, pool: Any) -> Client:
    import clickhouse_connect

    parts = urlsplit(url)
    embedded = parts.password is None and f"{parts.scheme}://{parts.netloc}" == environment.sets_url()
    password = environment.secrets_of_home().engine if embedded else unquote(parts.password or "")
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or USER),
        password=password,
        database=unquote(parts.path.strip("/")) or DATABASE,
        compress=not embedded,
        pool_mgr=pool,
        autogenerate_session_id=False,
        tz_mode="aware",
        connect_timeout=5,
        send_receive_timeout=600,
    )


def _address(url: str) -> str:
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "https" else "http"
    return f"{scheme}://{parts.hostname or '127.0.0.1'}:{parts.port or (8443 if scheme == 'https' else 8123)}"


def _types(table: str, columns: tuple[str, ...]) -> list[str]:
    """Column types, read once per thread: the client would ask before every insert."""
    known = _of_thread().types
    if table not in known or not set(columns) <= known[table].keys():
        known[table] = {str(row[0]): str(row[1]) for row in rows(f"describe table {table}")}
    return [known[table][column] for column in columns]
