"""A home with a migrated database, made once a run: the servers of processes and the homes of tests are copies of it.

Migrating takes seconds, copying a fraction of one. A run begins to make it before tests are collected.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PLACE = "HETANG_TEST_TEMPLATE"
_PATIENCE_S = 150
MIGRATED = "hetang_migrated"  # in its server: a database that nobody opens, to make others from
FAST = {"fsync": "off", "full_page_writes": "off"}  # kill -9 of a server loses nothing by it; a power cut would


def begin() -> None:
    """Start making it, in a process of its own, for this process and its children."""
    folder = Path(tempfile.mkdtemp(prefix="hetang-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_PLACE] = str(folder)
    values = {name: value for name, value in os.environ.items() if not name.startswith("HETANG_")}
    command = [sys.executable, "-m", "tests.template", str(folder)]
    maker = subprocess.Popen(command, env=values, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL)
    atexit.register(maker.wait)  # before the folder goes


def home() -> Path:
    """The home, when it is there; nobody runs its server."""
    if _PLACE not in os.environ:
        begin()
    folder = Path(os.environ[_PLACE])
    for _ in range(_PATIENCE_S * 20):
        if (folder / "home").exists():
            return folder / "home"
        if (folder / "failed").exists():
            break
        time.sleep(0.05)
    raise AssertionError(f"no template was made: {(folder / 'failed').read_text() if folder.exists() else 'gone'}")


def copy(target: Path) -> None:
    """Make `target` a home like that, with its keys."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in ("postgres", "secrets.json"):
        subprocess.run(["cp", "-a", str(home() / part), str(target)], check=True)


def copy_server(target: Path) -> None:
    """Give the home `target`, which has keys of its own, such a server."""
    subprocess.run(["cp", "-a", str(home() / "postgres"), str(target)], check=True)


def _make(draft: Path) -> None:
    draft.mkdir(mode=0o700)
    os.environ.update(HETANG_HOME=str(draft), DJANGO_SETTINGS_MODULE="hetang.settings")
    from hetang.platform import postgres

    server = postgres.start(draft, lambda _data: FAST)
    try:
        os.environ["HETANG_DATABASE_URL"] = server.url
        _migrate(server.url)
    finally:
        server.stop()


def _migrate(url: str) -> None:
    import django
    import psycopg

    django.setup()
    from django.db import connection

    from hetang.platform import upgrade

    upgrade.migrate()
    connection.close()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"create database {MIGRATED} template hetang")


def main(folder: Path) -> None:
    try:
        _make(folder / "draft")
    except BaseException as problem:
        (folder / "failed").write_text(repr(problem))
        raise
    (folder / "draft").rename(folder / "home")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
