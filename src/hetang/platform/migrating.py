"""Applying migrations with a record of what each took: seconds, and which tables it locked against whom.

The locks are read at the end of each migration, inside its transaction: PostgreSQL gives none back before the commit,
so they are all there, and the migration's seconds bound how long they were held.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.migrations import RunPython

from hetang.platform import upgrade

# What a lock on a table keeps others from doing while it is held.
_BLOCKS = {
    "AccessExclusiveLock": "everything",
    "ExclusiveLock": "writing",
    "ShareRowExclusiveLock": "writing",
    "ShareLock": "writing",
}
_LOCKED = """
select c.relname, l.mode, greatest(c.reltuples, 0)::bigint from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and l.granted and c.relkind in ('r', 'p') and c.relname = any(%s) and l.mode = any(%s)
"""


@dataclass(frozen=True)
class Locked:
    """A table that was there before and that others had to wait for. `rows` is PostgreSQL's estimate."""

    table: str
    blocks: str  # "everything" or "writing"
    rows: int


@dataclass
class Applied:
    """One migration: what it took."""

    name: str
    seconds: float = 0.0
    locked: list[Locked] = field(default_factory=list)
    in_transaction: bool = True

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class MigrationFailed(Exception):
    """A migration did not apply; it was rolled back, the ones before it stay."""

    def __init__(self, name: str, problem: Exception) -> None:
        super().__init__(f"{name}: {type(problem).__name__}: {problem}")
        self.name = name


def apply() -> list[Applied]:
    """Apply pending migrations under the upgrade lock. Raises MigrationFailed, naming the one that failed."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [upgrade.LOCK])
        try:
            applied = _apply()
            call_command("migrate", interactive=False, verbosity=0)  # nothing is left: content types and the like
        finally:
            cursor.execute("select pg_advisory_unlock(%s)", [upgrade.LOCK])
    return applied


def _apply() -> list[Applied]:
    executor = upgrade.executor()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    tables = connection.introspection.table_names()
    found = {}
    for migration, _backwards in plan:
        name = f"{migration.app_label}.{migration.name}"
        found[name] = Applied(name, in_transaction=migration.atomic)
        migration.operations = [*migration.operations, RunPython(_note(found[name], tables))]
    under_way, started = "", 0.0

    def progress(action: str, migration: Any = None, _fake: bool = False) -> None:
        nonlocal under_way, started
        if action == "apply_start":
            under_way, started = f"{migration.app_label}.{migration.name}", time.monotonic()
        elif action == "apply_success":
            found[under_way].seconds = round(time.monotonic() - started, 3)

    executor.progress_callback = progress
    try:
        executor.migrate(executor.loader.graph.leaf_nodes(), plan=plan)
    except Exception as problem:
        raise MigrationFailed(under_way, problem) from problem
    return list(found.values())


def _note(applied: Applied, tables: list[str]) -> Any:
    """An operation that comes last: carry out what the schema editor put off, then read the locks."""

    def note(_apps: Any, schema_editor: Any) -> None:
        for statement in schema_editor.deferred_sql:
            schema_editor.execute(statement, None)
        schema_editor.deferred_sql.clear()
        strongest: dict[str, Locked] = {}
        with connection.cursor() as cursor:
            cursor.execute(_LOCKED, [tables, list(_BLOCKS)])
            for table, mode, rows in cursor.fetchall():
                if table not in strongest or _BLOCKS[mode] == "everything":
                    strongest[table] = Locked(table, _BLOCKS[mode], rows)
        applied.locked = [strongest[table] for table in sorted(strongest)]

    return note
