"""Homes with a database of their own, and what one asks of a restored one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from hetang.platform import postgres
from hetang.platform.backups import archive
from tests.processes import clean_environment

TAKE_FACTS = """
import sys
from datetime import UTC, datetime
from hetang.facts.intake import Draft, record
for key in sys.argv[1:]:
    record("till", [Draft("visit.recorded", key, datetime(2026, 11, 1, 9, tzinfo=UTC), [("member", "m1")],
                          {"channel": "store"})])
"""
FOLLOW = """
import json
from django.db import connection
from hetang.facts import subscriptions
from hetang.facts.models import Fact, LogEpoch, SubscriptionCursor
streams = [one for one in subscriptions.all_subscriptions() if one.ready is None]
while sum(subscriptions.advance(one) for one in streams):
    pass
with connection.cursor() as cursor:
    cursor.execute("select coalesce(sum(visits), 0)::int from commerce_customermetric")
    visits = cursor.fetchone()[0]
print(json.dumps({
    "facts": Fact.objects.count(), "visits": visits, "epoch": LogEpoch.objects.get().epoch,
    "failed": list(SubscriptionCursor.objects.exclude(failed_at=None).values_list("name", "error")),
}))
"""


@contextmanager
def running(home: Path) -> Iterator[postgres.Server]:
    """The server of a home, for as long as the block."""
    server = postgres.start(home, lambda data: {**archive.server_settings(data), "fsync": "off"})
    try:
        yield server
    finally:
        server.stop()


def hetang(home: Path, *arguments: str, url: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a home."""
    more = {"HETANG_HOME": str(home), **environment, **({"HETANG_DATABASE_URL": url} if url else {})}
    return subprocess.run(
        [sys.executable, "-m", "hetang.cli", *arguments],
        env=clean_environment(**more),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def python(home: Path, url: str, code: str, *arguments: str) -> str:
    """Run Python with Django on a home; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}", *arguments],
        env=clean_environment(HETANG_HOME=str(home), HETANG_DATABASE_URL=url, DJANGO_SETTINGS_MODULE="hetang.settings"),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def followed(home: Path, url: str) -> dict[str, Any]:
    """Let the streams of a home catch up; its figures."""
    found: dict[str, Any] = json.loads(python(home, url, FOLLOW))
    return found


def ask(url: str, sql: str) -> Any:
    """The first value of a query."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql).fetchone()
        return row[0] if row else None


def database_of_tests() -> str:
    """The database of this test run."""
    from django.db import connection

    parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


@contextmanager
def another_database() -> Iterator[str]:
    """An empty database on the server of this test run, dropped afterwards."""
    server = urlsplit(os.environ["HETANG_DATABASE_URL"])
    name = f"another_{os.getpid()}"
    with psycopg.connect(urlunsplit(server), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield urlunsplit(server._replace(path=f"/{name}"))
        finally:
            connection.execute(f"drop database {name} with (force)")
