"""How long it is kept who was in an audience when."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, ManyToOneRel, Max, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from hetang.audiences import stored
from hetang.audiences.models import AudienceSnapshot, PondDay, PondFrame, PondShare
from hetang.platform.keeping import Chosen, Keeping


class _Snapshots(Chosen):
    """Snapshots but for the newest of each audience and those to which something refers (what was sent to them)."""

    at_once = 50

    def rows(self) -> QuerySet[AudienceSnapshot]:
        newest = AudienceSnapshot.objects.values("audience").annotate(newest=Max("pk")).values("newest")
        rows = AudienceSnapshot.objects.exclude(pk__in=newest)
        for one in AudienceSnapshot._meta.get_fields(include_hidden=True):  # rooms above refer without a name back
            if isinstance(one, ManyToOneRel):
                users: QuerySet[Any] = QuerySet(one.field.model).filter(**{f"{one.field.name}__isnull": False})
                rows = rows.exclude(pk__in=users.values(one.field.name))
        return rows

    def delete(self, found: list[int]) -> None:
        stored.frame_successors(found)
        super().delete(found)


class _PondDays(Chosen):
    """Days of pond sets but for the newest of each."""

    at_once = 50

    def rows(self) -> QuerySet[PondDay]:
        newest = PondDay.objects.values("pond_set").annotate(newest=Max("day")).values("pond_set", "newest")
        last = newest.filter(pond_set=OuterRef("pond_set"), newest=OuterRef("day"))
        return PondDay.objects.exclude(Exists(last))

    def delete(self, found: list[int]) -> None:
        shares = PondShare.objects.filter(day__in=found)
        frames = set(shares.values_list("frame", flat=True))
        shares.delete()
        super().delete(found)
        PondFrame.objects.filter(pk__in=frames).exclude(pk__in=PondShare.objects.values("frame")).delete()


KEEPING = [
    Keeping(
        "snapshots",
        _("Who was in an audience, at earlier times"),
        _("To compare growth and to explain what was sent to whom. The newest of each audience stays."),
        days=400,
        least=30,
        store=_Snapshots(),
    ),
    Keeping(
        "pond_days",
        _("Who was in which pond, at earlier days"),
        _("To see who moved between ponds. The newest day of each pond set stays."),
        days=400,
        least=30,
        store=_PondDays(),
    ),
]
