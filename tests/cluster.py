"""`python -m tests.cluster [pytest arguments]`: tests on two servers of Debian's ClickHouse, which is installed first
where that is allowed. It is of 2018 and knows neither our client's handshake nor bitmaps, parameters, maps and times
with milliseconds: the tests say which part of our SQL it understands. Where it is not installed they are skipped.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from hetang.audiences.plans import Query
from hetang.platform import children
from hetang.platform.ports import free_port
from tests import browser_setup
from tests.processes import answers, wait_until

PACKAGE = "clickhouse-server"
TESTS = "tests/audiences/test_cluster.py"
_PARAMETER = re.compile(r"\{(\w+):([^}]+)\}")
_CONFIG = """
<yandex>
  <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database><timezone>UTC</timezone>
  <mark_cache_size>67108864</mark_cache_size>
  <remote_servers><pair>{shards}</pair></remote_servers>
</yandex>
"""
_SHARD = "<shard><replica><host>127.0.0.1</host><port>{}</port></replica></shard>"
_USERS = """
<yandex>
  <profiles><default><max_threads>1</max_threads></default></profiles><quotas><default></default></quotas>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
    <quota>default</quota></default></users>
</yandex>
"""


def program() -> str | None:
    """The server, if it is installed."""
    return shutil.which("clickhouse-server", path="/usr/sbin:/usr/bin:/usr/local/bin")


def main(arguments: list[str]) -> int:
    if program() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        browser_setup.install(PACKAGE)
    if program() is None:
        print(f"no ClickHouse server here: install Debian's {PACKAGE}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, "-m", "pytest", *(arguments or [TESTS])], check=False).returncode


class Server:
    """One of them, asked by plain HTTP."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, sql: str, data: bytes = b"") -> str:
        """The answer, tabs between columns. Raises RuntimeError with what the server says."""
        try:
            with urllib.request.urlopen(self.address, data=sql.encode() + data, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            raise RuntimeError(refused.read().decode()[:500]) from refused

    def numbers(self, sql: str) -> set[int]:
        """A column of numbers."""
        return {int(line) for line in self.ask(sql).split()}


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[list[Server]]:
    """Two running servers that know each other as the cluster `pair`."""
    ports = [(free_port(), free_port()) for _ in range(2)]
    shards = "".join(_SHARD.format(tcp) for _http, tcp in ports)
    with contextlib.ExitStack() as running:
        for number, (http, tcp) in enumerate(ports):
            home = folder / str(number)
            home.mkdir()
            (home / "users.xml").write_text(_USERS)
            config = home / "config.xml"
            config.write_text(_CONFIG.format(folder=home, http=http, tcp=tcp, shards=shards))
            running.enter_context(_server(home, config))
        servers = [Server(f"http://127.0.0.1:{http}/") for http, _tcp in ports]
        for server in servers:
            wait_until(lambda server=server: answers(f"{server.address}ping"), 30, lambda: _said(folder))  # type: ignore[misc]
        yield servers


@contextlib.contextmanager
def _server(home: Path, config: Path) -> Iterator[None]:
    command = [program() or "", f"--config-file={config}"]
    with (home / "printed").open("wb") as log:
        process = children.spawn(command, env={"PATH": "/usr/bin:/bin"}, log=log)
    try:
        yield
    finally:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()


def _said(folder: Path) -> str:
    return "\n".join(path.read_text()[-1500:] for path in folder.glob("*/errors"))


def portable(query: Query) -> bool:
    """Whether a server of 2018 understands the query: attributes are columns made from a map, and it has neither wide
    numbers nor days in another zone nor joins to the nearest row."""
    unknown = ("Int128", "asof ", "toDate(occurred_at")
    return not query.attributes and not any(word in query.sql for word in unknown)


def inlined(query: Query) -> str:
    """The query with its parameters in the text. A list that is not looked into by `in` is an array."""
    values = dict(query.parameters)

    def written(found: re.Match[str]) -> str:
        text = _literal(values[found[1]], found[2])
        return f"[{text[1:-1]}]" if query.sql[: found.start()].endswith("arrayElement(") else text

    return _PARAMETER.sub(written, query.sql)


def _literal(value: Any, of_type: str) -> str:
    if of_type.startswith("Array"):
        return f"({', '.join(_literal(one, of_type[6:-1]) for one in value)})"
    if of_type.startswith("DateTime"):  # what its seconds since 1970 can hold
        return f"toDateTime('{min(max(str(value), '1970-01-02 00:00:00'), '2105-12-31 00:00:00')}', 'UTC')"
    if of_type == "Date":
        return f"toDate('{min(str(value), '2105-12-31')}')"
    return _quoted(str(value)) if of_type == "String" else str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
