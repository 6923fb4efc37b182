"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chromium import chromium

__all__ = ["chromium"]

# Partitioned tables are made by SQL migrations, so Django's flush after a transactional test does not know them.
# procrastinate declares its tables unmanaged, too.
UNMANAGED = [
    *("facts_fact", "facts_key", "facts_intake", "facts_refused", "platform_auditentry", "touch_touch", "touch_key"),
    "touch_tally",
    *("procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers", "procrastinate_workers"),
]


def pytest_configure() -> None:
    """Pages of tests name static files as they are; `tests/console/test_static.py` collects them for real."""
    from django.conf import settings
    from tools import catalogs

    catalogs.compile_all()  # the Chinese may have changed since the installation
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    # Emptying all tables between tests may meet a look of the engine process, which comes again by itself: it yields.
    settings.DATABASES["default"]["OPTIONS"]["options"] = "-c deadlock_timeout=20s"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # argon2 is slow on purpose


@pytest.fixture(autouse=True)
def _empty_unmanaged_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    marker = request.node.get_closest_marker("django_db")
    if not (marker and marker.kwargs.get("transaction")) and "transactional_db" not in request.fixturenames:
        return
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select relname from pg_class where relname = any(%s)", [UNMANAGED])
        present = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"truncate {', '.join(present)}")


@pytest.fixture(scope="session", autouse=True)
def _nobody_holds_the_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Threads of tests may leave a connection behind, which would keep the test database from being dropped."""
    yield
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="session")
def engine(django_db_setup: None) -> Iterator[str]:
    """A running engine process on this run's home and test database; yields its address."""
    from django.db import connection

    from hetang.platform import environment
    from tests.processes import EngineProcess

    database = str(connection.settings_dict["NAME"])
    process = EngineProcess(environment.home(), database=database)
    process.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HETANG_SETS_URL", process.address)
        patch.setenv("HETANG_CLICKHOUSE_URL", process.address)
        yield process.address
    process.stop()


@pytest.fixture
def clickhouse(engine: str, transactional_db: None) -> Iterator[str]:
    """The engine, with every ClickHouse table emptied after the test.

    The raised epoch tells its live sets that this is not the database of the test before (as after a restore).
    """
    from django.db import connection

    from hetang.platform import clickhouse

    with connection.cursor() as cursor:
        cursor.execute("update facts_epoch set epoch = epoch + 1")
    yield engine

    for (table,) in clickhouse.rows("select name from system.tables where database = currentDatabase()"):
        clickhouse.command(f"truncate table if exists {table}")


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A Chromium driven by playwright. Skips loudly where there is none; in CI that is a failure."""
    import os

    from playwright.sync_api import sync_playwright

    from tests import browser_setup

    path = browser_setup.find()
    if path is None:
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail("no Chromium here, and in CI the browser tests must run")
        pytest.skip("NO BROWSER: install chromium, or name one in HETANG_BROWSER, to run the browser tests")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
        )
        # playwright's event loop runs in this thread, which Django would otherwise refuse to query from
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        yield chromium
        chromium.close()
