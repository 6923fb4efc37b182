"""`python -m tests.migrations`: fails when a model has changed without a migration, or Django warns of something.

`python -m tests.migrations schemas`: fails when the short way of migrating an empty database leads to another schema
than Django's own. The long way takes half a minute.
"""

from __future__ import annotations

import difflib
import os
import sys

from tests import embedded


def main(what: str) -> int:
    embedded.prepare(server=what == "schemas" or not os.environ.get("HETANG_DATABASE_URL"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
    import django
    from django.core.management import call_command

    django.setup()
    if what == "schemas":
        return _compare_schemas()
    call_command("makemigrations", check=True, dry_run=True)
    call_command("check", fail_level="WARNING")
    return 0


def _compare_schemas() -> int:
    from django.core.management import call_command
    from django.db import connection

    from hetang.platform import upgrade

    upgrade.migrate()
    ours = _dumped()
    with connection.cursor() as cursor:
        cursor.execute("create database again")
    connection.close()
    connection.settings_dict["NAME"] = "again"
    call_command("migrate", verbosity=0)
    other = list(difflib.unified_diff(_dumped(), ours, "Django's", "ours"))
    sys.stdout.writelines(other or [f"{len(ours)} lines of schema are the same\n"])
    return int(bool(other))


def _dumped() -> list[str]:
    """The script that makes the tables of the database that we are connected to."""
    from django.db import connection

    from hetang.platform.backups import programs

    environment = programs.environment_of(os.environ["HETANG_DATABASE_URL"])
    environment["PGDATABASE"] = str(connection.settings_dict["NAME"])
    return programs.run("pg_dump", "--schema-only", "--restrict-key=same", env=environment).splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [""]))
