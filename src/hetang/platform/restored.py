"""What a database needs when it has just been restored: this version's schema, and whatever each room has to do so
that nothing is skipped, repeated or sent twice (`settings.AFTER_RESTORE`)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from hetang.platform import audit, upgrade


def settle(taken_at: datetime) -> list[str]:
    """Apply pending migrations, then let every room adapt, in one transaction. Returns the migrations applied.

    Raises upgrade.NotReady when the server cannot be used.
    """
    upgrade.check_server()
    names = upgrade.migrate()
    with transaction.atomic():
        _forget_processes()
        for dotted in settings.AFTER_RESTORE:
            import_string(dotted.replace(":", "."))(taken_at)
        audit.record("restore", "backup.restored", "installation", 1, {"taken_at": taken_at.isoformat()})
    return names


def _forget_processes() -> None:
    """Leases and logins of the past: a session that was ended since the backup must not come back to life."""
    with connection.cursor() as cursor:
        cursor.execute("delete from platform_lease")
        cursor.execute("delete from platform_session")
        cursor.execute("delete from platform_trusteddevice")
        cursor.execute("delete from procrastinate_workers")
