"""How many requests are worked out at a time, and over which connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from hetang.operations.turns import Turns


def _ask(application: Any, path: str = "/") -> list[bytes]:
    return list(application({"PATH_INFO": path}, lambda *_: None))


class _Slow:
    """An application whose pages take until they may go on, and how many of them were at work at once."""

    def __init__(self) -> None:
        self.lock, self.go_on, self.two = threading.Lock(), threading.Event(), threading.Event()
        self.at_work = self.most = 0

    def __call__(self, environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/":
            return [b"at once"]
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            if self.at_work == 2:
                self.two.set()
        assert self.go_on.wait(30)
        with self.lock:
            self.at_work -= 1
        return [b"page"]


def test_few_pages_have_a_turn_and_calls_of_machines_probes_and_static_files_do_not_wait_for_them() -> None:
    slow = _Slow()
    door = Turns(slow, 2)
    with ThreadPoolExecutor(6) as pool:
        pages = [pool.submit(_ask, door) for _ in range(6)]
        try:
            assert slow.two.wait(30)
            for path in ("/wecom/callback/x", "/healthz", "/readyz", "/static/console.css"):
                assert _ask(door, path) == [b"at once"]
            assert not any(page.done() for page in pages)
        finally:
            slow.go_on.set()
        assert [page.result() for page in pages] == [[b"page"]] * 6
    assert slow.most == 2


@pytest.mark.django_db
def test_a_turn_brings_its_connection_whatever_thread_takes_it_and_gets_it_back_after_a_fault() -> None:
    mine = connection.connection

    def server(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/fault":
            raise ValueError
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            found = str(cursor.fetchone()[0])
        if environ["PATH_INFO"] == "/last":
            connection.close()
        return [found.encode()]

    door = Turns(server, 2)

    def elsewhere(path: str) -> list[bytes]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_ask, door, path).result()

    first = elsewhere("/")
    with pytest.raises(ValueError):
        elsewhere("/fault")
    assert _ask(door) == elsewhere("/last") == first, "one of the two was enough for all"
    assert connection.connection is mine
    assert first != [str(mine.info.backend_pid).encode()]
