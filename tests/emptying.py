"""Emptying the database between tests that commit.

Django's own flush truncates every table that it knows and then makes content types and permissions anew: half a second,
whatever the test wrote. Here only the tables that hold something are truncated, those of partitions and of unmanaged
models too.
"""

from __future__ import annotations

from django.db import connection

# What migrations wrote and no test changes for good; facts_epoch has one row, which only ever counts up.
KEPT = ["django_migrations", "django_content_type", "auth_permission", "facts_epoch"]
# A truncated table has no bytes. One whose rows were rolled back has some, and is truncated for nothing.
_WITH_BYTES = """
select string_agg(oid::regclass::text, ', ') from pg_class
 where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> all(%s) and pg_relation_size(oid) > 0
"""


def empty_the_database() -> None:
    """Empty all tables except those of `KEPT`. Sequences go on, as after Django's flush.

    What refers to an emptied table is emptied, too: `cascade` reaches only what holds nothing or is in the list.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WITH_BYTES, [KEPT])
        (filled,) = cursor.fetchone()
        if filled:
            cursor.execute(f"truncate {filled} cascade")
