"""When what is known of customers ends."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from hetang.customers.models import BulkChange
from hetang.platform.keeping import Chosen, Keeping


class _BulkChanges(Chosen):
    """Changes to many customers that are over, with the sets of those whom they concerned."""

    column = "created_at"
    at_once = 20  # each holds sets of people

    def rows(self) -> QuerySet[BulkChange]:
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
