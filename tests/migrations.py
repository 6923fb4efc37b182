"""`python -m tests.migrations`: fails when a model has changed without a migration, or Django warns of something."""

from __future__ import annotations

import os
import sys

from tests import embedded


def main() -> int:
    embedded.prepare(server=not os.environ.get("HETANG_DATABASE_URL"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("makemigrations", check=True, dry_run=True)
    call_command("check", fail_level="WARNING")
    return 0


if __name__ == "__main__":
    sys.exit(main())
