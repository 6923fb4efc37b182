"""`kill -9` in the middle of a run, then the same run again: equal to one clean run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from hetang.facts.models import Fact, FactKey
from hetang.imports import orders, running, services
from hetang.imports.models import Import, ImportChunk
from tests.imports.files import checked, csv_bytes, uploaded
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LINES = 1_500  # 80 chunks, each of which takes as long as a look of the one who kills
CHILD = """
import sys, django
django.setup()
from hetang.imports import orders, running, services
from hetang.imports.models import Import
class Quiet:
    def progress(self, done, total=None, stage=""): pass
    def checkpoint(self): pass
orders.LINES_PER_CHUNK = running.ROWS_PER_CHUNK = 20
services.run_now(Import.objects.get(pk=int(sys.argv[1])), Quiet())
"""


class Quiet:
    def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...
    def checkpoint(self) -> None: ...


def content(target: str) -> bytes:
    if target == "orders":
        header = ["order", "time", "member", "sku", "quantity", "amount"]
        lines = [
            [f"A{n // 3}", "2026-03-01 10:00:00", n // 3 % 97, f"s{n}", 1, "x" if n % 500 == 7 else f"{n % 50}.10"]
            for n in range(LINES)
        ]
    else:
        header = ["member", "phone", "time"]
        lines = [[n, "no phone" if n % 500 == 7 else 13_800_000_000 + n, ""] for n in range(LINES)]
    return csv_bytes([header, *lines])


def confirmed(owner: Import) -> Import:
    """Checked, and its odd phones taken for what they are."""
    services.confirm(checked(owner), ["odd_phones"])
    owner.refresh_from_db()
    return owner


def killed_after(owner: Import, chunks: int) -> None:
    parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
    url = urlunsplit(parts._replace(path="/" + str(connection.settings_dict["NAME"])))
    environment = {**os.environ, "HETANG_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(owner.pk)], env=environment)
    wait_until(lambda: child.poll() is not None or ImportChunk.objects.count() >= chunks, 60)
    assert child.poll() is None, "the child finished before it could be killed"
    child.kill()
    child.wait()


def state() -> dict[str, Any]:
    facts = Fact.objects.order_by("key").values_list("kind", "key", "body", "occurred_at", "who")
    return {"facts": list(facts), "keys": FactKey.objects.count()}


def forget() -> None:
    Import.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("truncate facts_fact, facts_key, facts_heldfact")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(orders, "LINES_PER_CHUNK", 20)
    monkeypatch.setattr(running, "ROWS_PER_CHUNK", 20)
    yield


@pytest.mark.parametrize("target", ["orders", "customers"])
def test_a_killed_run_ends_like_a_clean_one(target: str) -> None:
    from hetang.platform import clock

    clock.freeze(clock.now())  # statements of the file are dated by the import's creation
    try:
        clean = confirmed(uploaded(target, content(target), source="pos"))
        expected = services.run_now(clean, Quiet())
        wanted = state()
        forget()
        owner = confirmed(uploaded(target, content(target), source="pos"))
        killed_after(owner, 3)
        owner.refresh_from_db()
        assert owner.state == Import.RUNNING
        written = ImportChunk.objects.count()
        assert 3 <= written < clean_chunks(target)
        assert services.run_now(owner, Quiet()) == expected
        assert state() == wanted
        assert ImportChunk.objects.count() == clean_chunks(target)
        assert expected["counts"]["rows"] == LINES
        assert expected["counts"]["rows_refused"] > 0
    finally:
        clock.freeze(None)


def clean_chunks(target: str) -> int:
    """Orders have 3 lines, 18 of which fit a chunk of 20; customers come by twenties."""
    return -(-LINES // 18) if target == "orders" else -(-LINES // 20)
