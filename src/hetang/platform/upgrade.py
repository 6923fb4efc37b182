"""What must be true before the processes start: schema, partitions, static files, and a server that we can use."""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection

from hetang import __version__
from hetang.platform import clock, environment, partitions, sealing

OLDEST_SERVER = 15
_UNICODE_SAFE = ("C", "C.UTF-8", "C.utf8", "POSIX")
LOCK = 0x68657467  # "hetg": two processes must not migrate one database at once


class NotReady(environment.Unusable):
    """The database cannot be used as it is; the message says what to do."""


def prepare() -> None:
    """Set up an unused database, refuse one in use whose migrations are pending or whose keys are not here, refresh
    partitions and static files.

    Raises NotReady with what to do.
    """
    check_server()
    missing = _pending_of_ours()
    if missing and not is_unused():
        raise NotReady(f"{len(missing)} migrations are pending (first: {missing[0]}); run `hetang upgrade`, then start")
    if missing:
        migrate()
    check_keys()
    partitions.ensure(clock.now())
    collect_static()


def check_ready() -> None:
    """Whether a command may work on the database: set up, and by this version. Raises NotReady."""
    check_server()
    if missing := _pending_of_ours():
        raise NotReady(f"{len(missing)} migrations are pending; start with `hetang up`, or run `hetang upgrade`")


def _pending_of_ours() -> list[str]:
    if unknown := from_the_future():
        raise NotReady(
            f"this data directory was written by a newer Hetang ({', '.join(unknown[:3])}…); install that version again"
        )
    return pending()


def migrate() -> list[str]:
    """Apply pending migrations; returns their names."""
    names = pending()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [LOCK])
        try:
            with _rendering_little() if _is_empty() else contextlib.nullcontext():
                call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", [LOCK])
    return names


def _is_empty() -> bool:
    """Whether no migration was ever applied."""
    from django.db.migrations.recorder import MigrationRecorder

    return not MigrationRecorder(connection).applied_migrations()


@contextlib.contextmanager
def _rendering_little() -> Iterator[None]:
    """Meanwhile Django renders anew a model that changes, and not all those that refer to it however indirectly.

    That was nine tenths of the time of migrating an empty database (25 s of a slow core). A migration asks neighbours
    of a model for names and columns, which older renderings tell as well; and rows, from which one could follow
    references, there are none. The schema is the same to the byte: `python -m tests.migrations schemas` compares.
    """
    from django.db.migrations.state import ProjectState

    def only_itself(_state: Any, app: str, model: str, _delay: bool = False) -> set[tuple[str, str]]:
        return {(app, model)}

    found = ProjectState._find_reload_model  # type: ignore[attr-defined]  # noqa: SLF001
    ProjectState._find_reload_model = only_itself  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        yield
    finally:
        ProjectState._find_reload_model = found  # type: ignore[attr-defined]  # noqa: SLF001


def pending() -> list[str]:
    """Migrations of this version that the database has not seen, as `app.name`, in the order of application."""
    ready = executor()
    plan = ready.migration_plan(ready.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def from_the_future() -> list[str]:
    """Applied migrations of our apps that this version does not have."""
    loader = executor().loader
    ours = {app for app, _ in loader.disk_migrations}
    unknown = set(loader.applied_migrations) - set(loader.disk_migrations) - _replaced(loader.disk_migrations)
    return sorted(f"{app}.{name}" for app, name in unknown if app in ours)


def known_state() -> tuple[int, int]:
    """How many migrations the database lacks, and how many it has that this version does not know. One short query;
    raises DatabaseError when the server does not answer."""
    from django.db.migrations.recorder import MigrationRecorder

    own = _of_this_version()
    apps = {app for app, _name in own}
    applied = {key for key in MigrationRecorder(connection).applied_migrations() if key[0] in apps}
    return len(own - applied), len(applied - own)


@cache
def _of_this_version() -> frozenset[tuple[str, str]]:
    from django.db.migrations.loader import MigrationLoader

    return frozenset(MigrationLoader(None).disk_migrations)


def is_unused() -> bool:
    """Whether nobody ever could log in here: a new database, or one whose first set-up was interrupted."""
    from hetang.platform.models import User

    return User._meta.db_table not in connection.introspection.table_names() or not User.objects.exists()


def check_server() -> None:
    """Whether the server answers, its version and its text order. Raises NotReady."""
    try:
        connection.ensure_connection()
    except OperationalError as problem:
        raise NotReady(f"the database cannot be reached: {_first_line(problem)}; look at HETANG_DATABASE_URL") from None
    with connection.cursor() as cursor:
        cursor.execute("select current_setting('server_version_num')::int, current_setting('server_version')")
        number, shown = cursor.fetchone()
        cursor.execute(
            "select datcollate, pg_encoding_to_char(encoding) from pg_database where datname = current_database()"
        )
        collation, encoding = cursor.fetchone()
    if number < OLDEST_SERVER * 10_000:
        raise NotReady(f"PostgreSQL {shown} is too old; version {OLDEST_SERVER} or newer is needed")
    if encoding != "UTF8":
        raise NotReady(f"the database is encoded as {encoding}; create it with `encoding 'UTF8' template template0`")
    if collation not in _UNICODE_SAFE:
        raise NotReady(
            f"the database sorts text by {collation}, which changes with the system's libraries; create it with"
            " `lc_collate 'C' lc_ctype 'C.UTF-8' template template0`"
        )


def _first_line(problem: Exception) -> str:
    """What the driver says, without its advice. It names host and user, never the password."""
    return str(problem).strip().split("\n", 1)[0]


def check_keys() -> None:
    """Raises NotReady when the keys of this home open nothing of what the database holds: an external database and a
    home that is not its own, where new keys would make people unreadable and unknown."""
    from hetang.platform import resealing

    samples = [sealed for column in resealing.columns() if (sealed := column.sample()) is not None]
    if samples and not any(map(_opens, samples)):
        raise NotReady(
            f"the keys in {environment.home()} are not those of this database, whose personal data they cannot read;"
            " name its own data directory with --home, or restore a backup with `hetang restore --keys`"
        )


def _opens(sealed: bytes) -> bool:
    from cryptography.exceptions import InvalidTag

    try:
        sealing.unseal(sealed)
    except (InvalidTag, KeyError):
        return False
    return True


def collect_static() -> bool:
    """Copy static files into the home if they changed since the last time; returns whether they did."""
    target = Path(settings.STATIC_ROOT)
    stamp = target / ".stamp"
    fingerprint = _static_fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0, stdout=io.StringIO())
    stamp.write_text(fingerprint)
    return True


def _static_fingerprint() -> str:
    from django.contrib.staticfiles.finders import get_finders

    digest = hashlib.sha256(f"{__version__} {sys.version_info[:2]}".encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda pair: pair[0]):
            about = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def executor() -> Any:
    """Django's migration executor on the default connection (its parts are untyped)."""
    from django.db.migrations.executor import MigrationExecutor

    return MigrationExecutor(connection)


def _replaced(migrations: dict[tuple[str, str], Any]) -> set[tuple[str, str]]:
    return {key for migration in migrations.values() for key in migration.replaces}
