"""Monthly partitions: made ahead of need, by the migration, at every start and daily.

Each partitioned table has a default partition, so that a missing month never refuses a row; a month whose rows
already fell into the default is left there (named in the log), since moving them would lock the table.
"""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.db import connection
from django.db.utils import DatabaseError
from psycopg import sql

log = logging.getLogger(__name__)

TABLES = ("platform_auditentry", "facts_intake", "facts_fact", "touch_touch")


def ensure(around: datetime, ahead: int = 3) -> list[str]:
    """Create the partitions of the month of `around` and of `ahead` months after it. Returns the names of new ones."""
    first = date(around.year, around.month, 1)
    made = []
    for table in TABLES:
        if table not in connection.introspection.table_names():
            continue
        for step in range(-1, ahead + 1):
            name = _create(table, _month_after(first, step))
            if name:
                made.append(name)
    return made


def _create(table: str, month: date) -> str | None:
    name = f"{table}_{month:%Y%m}"
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            return None
        statement = sql.SQL("create table if not exists {} partition of {} for values from ({}) to ({})").format(
            sql.Identifier(name),
            sql.Identifier(table),
            sql.Literal(f"{month} 00:00+00"),
            sql.Literal(f"{_month_after(month, 1)} 00:00+00"),
        )
        try:
            cursor.execute(statement)
        except DatabaseError as problem:
            log.warning("partition %s was not made: %s", name, problem)
            return None
    return name


def _month_after(month: date, count: int) -> date:
    index = month.year * 12 + month.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)
