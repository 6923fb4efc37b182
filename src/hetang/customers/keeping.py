"""When what is known of customers ends."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils.translation import gettext_lazy as _

from hetang.customers.models import BulkChange
from hetang.platform.keeping import COUNTED, Keeping, Note

_AT_ONCE = 20  # each holds sets of people


class _BulkChanges:
    """Changes to many customers that are over, with the sets of those whom they concerned."""

    def remove(self, before: datetime, note: Note) -> None:
        rows = self._over().filter(created_at__lt=before).order_by("pk").values_list("pk", flat=True)
        while found := list(rows[:_AT_ONCE]):
            with transaction.atomic():
                BulkChange.objects.filter(pk__in=found).delete()
                note(len(found))

    def count(self, before: datetime) -> int:
        return self._over().filter(created_at__lt=before)[:COUNTED].count()

    def oldest(self, _gone: datetime | None, /) -> datetime | None:
        found: datetime | None = self._over().aggregate(oldest=Min("created_at"))["oldest"]
        return found

    def _over(self) -> QuerySet[BulkChange]:
        return BulkChange.objects.exclude(state__in=(BulkChange.RUNNING, BulkChange.UNDOING))


KEEPING = [
    Keeping(
        "customers",
        _("Who she is: identities, profile, tags, friends, consents"),
        _("To serve her, as long as she is a customer. Consents prove on which basis she was written to."),
        until=_("until she asks to be erased, or somebody orders it because the purpose is over"),
    ),
    Keeping(
        "bulk_changes",
        _("Changes to many customers at once, of which she was one"),
        _("To undo one. What it changed stays, with its date and source."),
        days=180,
        least=7,
        store=_BulkChanges(),
    ),
]
