"""Pytest plugin (`-p tests.embedded`): a home and an embedded PostgreSQL of its own, before Django loads."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _start() -> None:
    home = Path(tempfile.mkdtemp(prefix="hetang-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["HETANG_HOME"] = str(home)
    if os.environ.get("HETANG_DATABASE_URL"):
        return
    from hetang.platform import postgres

    server = postgres.start(home)
    atexit.register(server.stop)
    os.environ["HETANG_DATABASE_URL"] = server.url


_start()
