"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import embedded, template
from tests.chromium import chromium

__all__ = ["chromium"]

# Files that take over ten seconds, the longest first: a process that got one of them last would keep the other waiting.
LONGEST_FIRST = [
    *("browser/test_console", "platform/test_supervisor", "console/scope/test_every_url", "security/test_injection"),
    *("audiences/test_shards", "platform/backups/test_moments", "privacy/test_replay", "privacy/test_erasing"),
    *("connectors/wecom/test_broadcast", "platform/backups/test_upgrade", "connectors/wecom/test_proof"),
    *("touch/test_proof", "privacy/test_rotation", "commerce/test_history", "platform/backups/test_logical"),
    *("audiences/test_pages", "console/test_access", "audiences/test_evaluators", "connectors/wecom/test_sign_on"),
    *("security/test_sessions", "console/test_page_queries", "audiences/test_automatic"),
    *("connectors/wecom/test_client", "audiences/test_faults", "security/test_layout", "platform/test_postgres"),
]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first, where several processes share them; within a file the order stays."""
    place = {config.rootpath / "tests" / f"{name}.py": number for number, name in enumerate(LONGEST_FIRST)}
    gone = [str(path) for path in place if not path.exists()]
    assert gone == [], "LONGEST_FIRST names files that are gone"
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_configure() -> None:
    """Pages of tests name static files as they are; `tests/console/test_static.py` collects them for real."""
    from django.conf import settings
    from django.test import TransactionTestCase
    from tools import catalogs

    from tests.emptying import empty_the_database

    catalogs.compile_all()  # the Chinese may have changed since the installation
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    # Emptying all tables between tests may meet a look of the engine process, which comes again by itself: it yields.
    settings.DATABASES["default"]["OPTIONS"]["options"] = "-c deadlock_timeout=20s"
    TransactionTestCase._fixture_teardown = lambda _self: empty_the_database()  # type: ignore[method-assign]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # argon2 is slow on purpose


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Before the test database is made: a worker starts its server, and takes the database that is migrated there."""
    from django.db import connections

    if embedded.own_copy():
        embedded.start_copy()
        connections["default"].settings_dict["TEST"]["TEMPLATE"] = template.MIGRATED


_END_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)


@pytest.fixture(scope="session", autouse=True)
def _nobody_holds_the_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Threads of tests may leave a connection behind, which would keep the test database from being dropped."""
    yield
    from django.db import connection

    with django_db_blocker.unblock():
        connection.close()  # the server may have ended it since the last test that used it
        with connection.cursor() as cursor:
            cursor.execute(_END_OTHERS)


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

    filled = "select distinct table from system.parts where database = currentDatabase() and active"
    for (table,) in clickhouse.rows(filled):
        clickhouse.command(f"truncate table if exists {table}")
