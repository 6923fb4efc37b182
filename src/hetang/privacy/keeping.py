"""How long the logs and registers are kept, and what the installation itself leaves behind."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap64

from hetang.platform.environment import home
from hetang.platform.keeping import CHUNK, Chosen, Keeping, Note, Rows
from hetang.platform.models import JobRun, StoredFile
from hetang.privacy import seals

YEAR = 365
_A_DAY_S = 24 * 3600.0


class _AuditLog:
    """The audit log. Only sealed rows are removed, each chunk with a signed note that the check of the seals reads."""

    _rows = Rows("platform_auditentry", "at, id", "at")

    def remove(self, before: datetime, note: Note) -> None:
        sealed = seals.state().last_id
        while True:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "delete from platform_auditentry where (at, id) in (select at, id from platform_auditentry"
                    f" where at < %s and id <= %s order by at, id limit {CHUNK}) returning id",
                    [before, sealed],
                )
                ids = BitMap64([row[0] for row in cursor.fetchall()])
                if not ids:
                    return
                seals.release("platform_auditentry", ids.serialize(), len(ids))
                note(len(ids))

    def count(self, before: datetime) -> int:
        return self._rows.count(before)

    def oldest(self, gone: datetime | None, /) -> datetime | None:
        return self._rows.oldest(gone)


class _Jobs(Chosen):
    """Work that is over, with its result. What it did stays."""

    column = "finished_at"

    def rows(self) -> QuerySet[JobRun]:
        return JobRun.objects.filter(
            state__in=(JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED), finished_at__isnull=False
        )


class _Leftovers:
    """Sealed files that a crash left without their row: nobody can reach them. Their age is that of the file."""

    def remove(self, before: datetime, note: Note) -> None:
        for path in self._found(before):
            path.unlink(missing_ok=True)
            note(1)

    def count(self, before: datetime) -> int:
        return len(self._found(before))

    def oldest(self, _gone: datetime | None, /) -> datetime | None:
        ages = [path.stat().st_mtime for path in self._found(datetime.now(UTC))]
        return datetime.fromtimestamp(min(ages), UTC) if ages else None

    def _found(self, before: datetime) -> list[Path]:
        """By the wall clock: a file that is being written has no row yet, and the clock may be turned."""
        young = min(before.timestamp(), time.time() - _A_DAY_S)
        known = set(StoredFile.objects.values_list("path", flat=True))
        files = (home() / "files").glob("*.sealed")
        return [path for path in files if path.name not in known and path.stat().st_mtime < young]


KEEPING = [
    Keeping(
        "audit",
        _("Audit log: who did what, who looked at whom"),
        _(
            "To account for what was done: the law asks for at least six months of logs, and for three years where the"
            " handling of personal data must be proved."
        ),
        days=3 * YEAR,
        least=183,
        store=_AuditLog(),
    ),
    Keeping(
        "reveals",
        _("Values that were seen in full, with the reason"),
        _("As the audit log, of which they are a part."),
        days=3 * YEAR,
        least=183,
        store=Rows("privacy_reveal", "at, id", "at"),
    ),
    Keeping(
        "export_entries",
        _("Register of exports"),
        _("To account for what left the house. The files themselves end after some days: see the privacy rules."),
        days=3 * YEAR,
        least=YEAR,
        store=Rows("privacy_export", "id", "asked_at", "state in ('gone', 'failed', 'withdrawn') and file_id is null"),
    ),
    Keeping(
        "requests",
        _("Requests of customers that were answered"),
        _("To prove that they were answered in time."),
        days=3 * YEAR,
        least=YEAR,
        store=Rows("privacy_privacyrequest", "id", "answered_at", "state <> 'open'"),
    ),
    Keeping(
        "links",
        _("Links to customers' privacy pages that are over"),
        _("To see who made one when somebody asks."),
        days=90,
        most=365,
        store=Rows("privacy_privacylink", "id", "expires_at"),
    ),
    Keeping(
        "approvals",
        _("Approvals that are over"),
        _("To account for who allowed what."),
        days=3 * YEAR,
        least=YEAR,
        store=Rows("platform_approval", "id", "asked_at", "state not in ('open', 'approved')"),
    ),
    Keeping(
        "jobs",
        _("Jobs that are over"),
        _("To find out what went wrong."),
        days=180,
        least=7,
        store=_Jobs(),
    ),
    Keeping(
        "leftovers",
        _("Files that a crash left without an owner"),
        _("Nobody can reach them."),
        days=1,
        most=30,
        store=_Leftovers(),
    ),
    Keeping(
        "erasures",
        _("Proofs of erasures and the list of erased people"),
        _("To prove an erasure, and to carry it out again after a restore. They hold keyed hashes and no name."),
        until=_("always"),
    ),
    Keeping(
        "sessions",
        _("Sessions of the console, remembered devices, failed log-ins"),
        _("To keep people logged in and strangers out."),
        until=_("minutes to weeks, by the log-in rules"),
    ),
    Keeping(
        "backups",
        _("Backups and the archive"),
        _(
            "To bring the data back. They hold what was kept when they were made; after a restore erasures are carried"
            " out again."
        ),
        until=_("by the settings of backups"),
    ),
]
