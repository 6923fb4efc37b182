"""The columnar store: ClickHouse over HTTP, whether our own engine process or servers that the operator named.

Several servers are shards: each customer's rows lie on one of them, by her number. The same SQL runs on all of them
and their rows are put one after another, so who asks for sums adds them up once more. Distinct customers may be added,
too, since nobody is on two servers; other distinct values and percentiles may not.

Tables live in the database of the URL (`hetang` in the embedded engine), so SQL names them without a database.
"""

from __future__ import annotations

import atexit
import logging
import threading
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from hetang.platform import environment

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

log = logging.getLogger(__name__)

DATABASE = "hetang"
USER = "default"
BUCKETS = 256
_thread = threading.local()
Found = TypeVar("Found")


def shards() -> int:
    """How many servers hold the history."""
    return len(_urls())


def shard_of(customer: int) -> int:
    """On which server a customer's rows lie; 0, who is nobody, on the first."""
    return customer % BUCKETS % shards()


def client(shard: int = 0) -> Client:
    """This thread's client of a server; the first call connects (about 10 ms). Raises the client's errors if
    unreachable."""
    return _of_thread(shard).client


def command(sql: str, params: dict[str, Any] | None = None) -> Any:
    """Run a statement on every server; returns the single value of the first, if it has one. Parameters are
    `{name:Type}` in the SQL."""
    first, *_others = [client(shard).command(sql, parameters=params) for shard in range(shards())]
    return first


def rows(sql: str, params: dict[str, Any] | None = None, customer: int | None = None) -> list[tuple[Any, ...]]:
    """Rows of a query from every server, or from that of one customer. Times come back aware (UTC). Parameters are
    `{name:Type}` in the SQL; never inline id lists."""
    asked = range(shards()) if customer is None else [shard_of(customer)]
    return [tuple(row) for shard in asked for row in client(shard).query(sql, parameters=params).result_rows]


def on_every(ask: Callable[[Client], Found]) -> list[Found]:
    """What each server answers, all asked at the same time."""
    if shards() == 1:
        return [ask(client())]
    return list(_asking().map(lambda shard: ask(client(shard)), range(shards())))


@cache
def _asking() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(32, thread_name_prefix="shards")


def insert(table: str, columns: Sequence[str], data: Sequence[Sequence[Any]], token: str) -> None:
    """Append rows, exactly once per `token`: a repeated insert with the same token is dropped by the table. Those of a
    table with customers go to their servers, others to the first.

    The table needs `non_replicated_deduplication_window` (the embedded engine sets 10,000 for all).
    """
    if not data:
        return
    place = columns.index("customer") if "customer" in columns else None
    for shard in range(shards()):
        hers = [row for row in data if (0 if place is None else shard_of(row[place])) == shard]
        if hers:
            client(shard).insert(
                table,
                hers,
                column_names=list(columns),
                column_type_names=_types(table, tuple(columns)),
                settings={"insert_deduplication_token": token, "async_insert": 0},
            )


def available() -> bool:
    """Whether the store answers, all of its servers (their ping, within two seconds each)."""
    try:
        return all(_answers(url) for url in _urls())
    except LookupError:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{_address(url)}/ping", timeout=2) as answer:  # noqa: S310 - http(s) by _address
            return bool(answer.status == 200 and answer.read(3) == b"Ok.")  # "Starting" is not there yet
    except OSError:
        return False


def forget() -> None:
    """Drop this thread's clients and what they know of tables (after a schema change, or in tests)."""
    _thread.held = {}


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


def _of_thread(shard: int) -> _Held:
    url = _urls()[shard]
    held: dict[int, _Held] = _thread.__dict__.setdefault("held", {})
    if shard not in held or held[shard].url != url:
        held[shard] = _Held(url)
    return held[shard]


def _urls() -> list[str]:
    urls = environment.clickhouse_urls()
    if not urls:
        raise LookupError("HETANG_CLICKHOUSE_URL is not set: this process was not started by `hetang up`")
    return urls


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
    known = _of_thread(0).types
    if table not in known or not set(columns) <= known[table].keys():
        described = client().query(f"describe table {table}").result_rows
        known[table] = {str(row[0]): str(row[1]) for row in described}
    return [known[table][column] for column in columns]
