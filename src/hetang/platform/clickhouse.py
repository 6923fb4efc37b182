"""The columnar store: ClickHouse over HTTP, whether our own engine process or a server that the operator named.

Tables live in the database of the URL (`hetang` in the embedded engine), so SQL names them without a database.
"""

from __future__ import annotations

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
    url = _url()
    if getattr(_thread, "url", None) != url:
        _thread.client = _connect(url)
        _thread.url = url
        _thread.types = {}
    connected: Client = _thread.client
    return connected


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
    _thread.url = None


def _url() -> str:
    urls = environment.clickhouse_urls()
    if not urls:
        raise LookupError("HETANG_CLICKHOUSE_URL is not set: this process was not started by `hetang up`")
    if len(urls) > 1:
        raise LookupError("HETANG_CLICKHOUSE_URL names several servers; shards are not supported yet")
    return urls[0]


def _connect(url: str) -> Client:
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
    client()
    known: dict[str, dict[str, str]] = _thread.types
    if table not in known or not set(columns) <= known[table].keys():
        known[table] = {str(row[0]): str(row[1]) for row in rows(f"describe table {table}")}
    return [known[table][column] for column in columns]
