"""How long uploaded files are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, F, Func, Min, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from hetang.imports import problems
from hetang.imports.holdings import remove_file
from hetang.imports.models import Import
from hetang.platform.keeping import COUNTED, Keeping, Note

_OPEN = (Import.CHECKING, Import.RUNNING)
_SAMPLED = Func(
    F("columns"),
    Value("$[*].samples[0]"),
    template="jsonb_path_exists(%(expressions)s::jsonpath)",
    output_field=BooleanField(),
)
_AGE: Any = Coalesce("finished_at", "created_at")


class _Files:
    """The uploaded file, the samples of its columns and the log of rows that were not taken. The entry stays."""

    def remove(self, before: datetime, note: Note) -> None:
        for owner in self._older(before).select_related("stored_file").order_by("pk"):
            with transaction.atomic():
                remove_file(owner)
                bare = [column | {"samples": []} for column in owner.columns]
                Import.objects.filter(pk=owner.pk).update(columns=bare)
                note(1)
            for stage in ("check", "run"):
                problems.clear(owner.public_id, stage)

    def count(self, before: datetime) -> int:
        return self._older(before)[:COUNTED].count()

    def oldest(self, _gone: datetime | None, /) -> datetime | None:
        found: datetime | None = self._kept().aggregate(oldest=Min(_AGE))["oldest"]
        return found

    def _older(self, before: datetime) -> QuerySet[Import]:
        return self._kept().annotate(age=_AGE).filter(age__lt=before)

    def _kept(self) -> QuerySet[Import]:
        rows = Import.objects.exclude(state__in=_OPEN).annotate(sampled=_SAMPLED)
        return rows.filter(Q(stored_file__isnull=False) | Q(sampled=True))


KEEPING = [
    Keeping(
        "imports",
        _("Uploaded files and the rows that were not taken"),
        _("To run a file again and to mend refused rows. What it brought is in the fact log."),
        days=30,
        most=365,
        store=_Files(),
    )
]
