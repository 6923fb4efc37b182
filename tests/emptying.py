"""Emptying the database between tests that commit.

Django's own flush truncates every table that it knows and then makes content types and permissions anew: half a second,
whatever the test wrote. Here only the tables that hold something are emptied, those of partitions and of unmanaged
models too: small ones row by row, as truncating costs new files for a table and each of its indexes.
"""

from __future__ import annotations

from django.db import connection

# What migrations wrote and no test changes for good; facts_epoch has one row, which only ever counts up.
KEPT = ["django_migrations", "django_content_type", "auth_permission", "facts_epoch"]
_SMALL = 256 * 1024
# A truncated table has no bytes. One whose rows were deleted or rolled back has some, and is emptied for nothing.
_WITH_BYTES = """
select oid::regclass::text, pg_relation_size(oid) from pg_class
 where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> all(%s) and pg_relation_size(oid) > 0
"""


def empty_the_database() -> None:
    """Empty all tables except those of `KEPT`. Sequences go on, as after Django's flush."""
    with connection.cursor() as cursor:
        cursor.execute(_WITH_BYTES, [KEPT])
        filled = cursor.fetchall()
        large = [table for table, size in filled if size > _SMALL]
        small = [table for table, size in filled if size <= _SMALL]
        # As a replica: no triggers, neither those of foreign keys nor of logs that nobody may delete from.
        emptying = ["begin", "set local session_replication_role = replica"]
        emptying += [f"truncate {', '.join(large)} cascade"] if large else []
        emptying += [f"delete from {table}" for table in small]
        cursor.execute("; ".join([*emptying, "commit"]))
