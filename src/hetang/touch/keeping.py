"""How long it is kept who was written to under which address, and what was only tried out."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Chosen, Keeping, Rows
from hetang.touch.models import Plan


class _DryRuns(Chosen):
    """Splits that were made before sending, and the sets of people in them: some megabytes each."""

    at_once = 20

    def rows(self) -> QuerySet[Plan]:
        return Plan.objects.filter(programme=None, state=Plan.DONE)


class _Addresses(Rows):
    """Addresses in the ledger. No index leads with `planned_at`, so the oldest is looked for plan by plan."""

    def oldest(self, gone: datetime | None, /) -> datetime | None:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                select p.planned_at
                from (select id, planned_at from touch_programme where planned_at is not null
                        and (%(gone)s::timestamptz is null or planned_at >= %(gone)s) order by planned_at) p
                cross join lateral (
                  select from touch_sendtask k join touch_touch t on t.task = k.id and t.planned_at = p.planned_at
                  where k.programme_id = p.id and t.address <> '' limit 1) addressed
                order by p.planned_at limit 1
                """,
                {"gone": gone},
            )
            row = cursor.fetchone()
        return row[0] if row else None


KEEPING = [
    Keeping(
        "addresses",
        _("Addresses to which messages went"),
        _("To answer who was written to where. After that the message stays in reports, without the address."),
        days=400,
        least=60,
        store=_Addresses("touch_touch", "id, planned_at", "planned_at", "address <> ''", "address = ''"),
    ),
    Keeping(
        "dry_runs",
        _("Splits before sending"),
        _("Of drafts that nobody sent. A draft that is taken up again is split anew."),
        days=30,
        most=365,
        store=_DryRuns(),
    ),
    Keeping(
        "messages",
        _("Messages that were sent (the send ledger)"),
        _("Caps, reports and the answer to “why did I get this?” count over it."),
        until=_("until the customer is erased; then without her"),
    ),
]
