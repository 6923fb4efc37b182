"""ClickHouse's HTTP protocol over chDB, as far as `clickhouse-connect` uses it.

One process may open a chDB directory, so the engine process opens it and serves everybody else. A request gets a
connection of its own (0.2 ms), so settings and the current database never leak into the next request.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
import time
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

# Parts of the protocol that are not settings of the query.
_TRANSPORT = frozenset(
    {
        *("query", "database", "user", "password", "session_id", "session_timeout", "session_check", "query_id"),
        *("wait_end_of_query", "buffer_size", "compress", "decompress", "default_format", "client_protocol_version"),
        *("role", "quota_key", "stacktrace", "enable_http_compression", "send_progress_in_http_headers"),
        *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
    }
)
# INSERT with its data behind FORMAT; anything else (VALUES, SELECT) goes to the engine as it is.
_INSERT = re.compile(
    rb"\s*(insert\s+into\s+(?:table\s+)?[\w.`\"]+\s*(?:\([^()]*\))?(?:\s*settings\s[^\n]*?)?)"
    rb"\s*\bformat\s+(\w+)[ \t]*(?:;[ \t]*)?(?:\r?\n|$)",
    re.IGNORECASE,
)
_CODE = re.compile(r"Code: (\d+)\.")
_SETTING_NAME = re.compile(r"\w+\Z")
_CONCURRENT = 8  # more at once only trade places on two cores and multiply memory
_LOCK_WAIT_S = 30.0  # an engine that is being stopped may need a while to leave the directory


class QueryError(Exception):
    """The engine refused a statement; `code` is ClickHouse's error number."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = _CODE.search(message)
        self.code = int(found.group(1)) if found else 1001


@dataclass(frozen=True)
class Answer:
    """Result bytes and what goes into `X-ClickHouse-Summary`."""

    body: bytes
    summary: dict[str, str]


class Front:
    """The open chDB directory. Raises QueryError when the directory cannot be opened or locked."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._slots = threading.Semaphore(_CONCURRENT)
        config = _write_config(folder)
        self._anchor = _open(folder, config)  # keeps the embedded server alive between requests
        self._settings = {
            "max_threads": str(os.cpu_count() or 2),
            "max_memory_usage": str(_memory_limit()),
            "max_execution_time": "600",
            "async_insert": "0",
        }
        self._anchor.query(f"create database if not exists {database}")

    def execute(self, params: dict[str, str], body: bytes) -> Answer:
        """Run one request: URL parameters and (decoded) body, as ClickHouse concatenates them."""
        statement = params["query"].encode() + b"\n" + body if "query" in params else body
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        settings = {**self._settings, **_settings_of(params)}
        with self._slots:
            connection = _chdb().connect(str(self._folder))
            try:
                if database := params.get("database"):
                    connection.query(f"use {_identifier(database)}")
                connection.query("set " + ", ".join(f"{name}={_literal(value)}" for name, value in settings.items()))
                return _run(connection, statement, params.get("default_format", "TabSeparated"), bound)
            except QueryError:
                raise
            except Exception as problem:  # chDB raises RuntimeError, ChdbError and UnicodeError, all with the text
                raise QueryError(str(problem)) from problem
            finally:
                connection.close()

    def close(self) -> None:
        """Leave the directory, so that another process may open it."""
        self._anchor.close()


def decoded(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises ValueError for an unknown one."""
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    raise ValueError(f"unsupported Content-Encoding {encoding!r}")


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Plain fields of a multipart form (long queries and parameters travel so). Raises ValueError for file fields."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    fields = {}
    for part in message.walk():
        if part.is_multipart():
            continue
        if part.get_filename() is not None:
            raise ValueError("external data is not supported by the embedded engine")
        content = part.get_payload(decode=True)
        fields[str(part.get_param("name", header="content-disposition"))] = bytes(content).decode()
    return fields


def _run(connection: Any, statement: bytes, default_format: str, bound: dict[str, str]) -> Answer:
    insert = _INSERT.match(statement)
    if insert is not None and insert.end() < len(statement):
        return _insert(connection, insert.group(1).decode(), insert.group(2).decode(), statement[insert.end() :])
    result = connection.query(statement.decode(), default_format, params=bound)
    return Answer(result.bytes(), {"read_rows": str(result.rows_read()), "read_bytes": str(result.bytes_read())})


def _insert(connection: Any, statement: str, data_format: str, data: bytes) -> Answer:
    with connection.send_insert(statement, data_format) as stream:
        stream.append(data)
        done = stream.finish()
    return Answer(b"", {"written_rows": str(done.rows_written), "written_bytes": str(done.bytes_written)})


def _settings_of(params: dict[str, str]) -> dict[str, str]:
    found = {}
    for name, value in params.items():
        if name in _TRANSPORT or name.startswith("param_"):
            continue
        if not _SETTING_NAME.match(name):
            raise QueryError(f"Code: 115. DB::Exception: bad setting name {name!r}. (UNKNOWN_SETTING)")
        found[name] = value
    return found


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _chdb() -> Any:
    import chdb  # 250 MB: only the engine process pays for it

    return chdb


def _open(folder: Path, config: Path) -> Any:
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            return _chdb().connect(f"{folder}?config-file={config}")
        except Exception as problem:
            if time.monotonic() > deadline:
                raise QueryError(f"{folder} cannot be opened; does another engine hold it? {problem}") from problem
            time.sleep(0.2)


def _write_config(folder: Path) -> Path:
    """Server settings that chDB takes only from a file. Durable inserts, a deduplication window for every table, and
    small pools and caches, since everything shares a small machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder.with_name("clickhouse.xml")
    path.write_text(
        "<clickhouse>"
        "<merge_tree><fsync_after_insert>1</fsync_after_insert><fsync_part_directory>1</fsync_part_directory>"
        "<non_replicated_deduplication_window>10000</non_replicated_deduplication_window></merge_tree>"
        "<max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>"
        "<mark_cache_size>67108864</mark_cache_size><background_pool_size>2</background_pool_size>"
        "<timezone>UTC</timezone>"
        "</clickhouse>\n"
    )
    return path


def _memory_limit() -> int:
    """Bytes one query may take: a quarter of the machine, between 1 and 8 GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(max(total // 4, 1 << 30), 8 << 30))
