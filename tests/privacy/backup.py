"""A backup of the test database and its restore: every row as it was then, the epoch raised, the home as it is now."""

from __future__ import annotations

from django.db import connection


def take() -> None:
    """Copy every table aside."""
    with connection.cursor() as cursor:
        cursor.execute("drop schema if exists backup cascade; create schema backup")
        for table in _tables():
            cursor.execute(f'create table backup."{table}" as table public."{table}"')


def restore() -> None:
    """Put every table back as it was when the backup was taken."""
    with connection.cursor() as cursor:
        tables = _tables()
        cursor.execute("set session_replication_role = replica")
        cursor.execute(f"truncate {', '.join(tables)} cascade")
        for table in tables:
            columns = ", ".join(_columns(table))
            cursor.execute(
                f'insert into public."{table}" ({columns}) overriding system value'
                f' select {columns} from backup."{table}"'
            )
        cursor.execute("set session_replication_role = origin")
        cursor.execute("update facts_epoch set epoch = epoch + 1")
        cursor.execute("drop schema backup cascade")


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"
            " and not relispartition and relname not in ('django_migrations', 'django_content_type') order by 1"
        )
        return [row[0] for row in cursor.fetchall()]


def _columns(table: str) -> list[str]:
    """All but the generated ones, which come by themselves."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select quote_ident(attname) from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped and attgenerated = '' order by attnum",
            [f'public."{table}"'],
        )
        return [row[0] for row in cursor.fetchall()]
