"""Exported files that hold a person: they are removed whole; who needs the rest exports it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap

from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person
from hetang.privacy import exports
from hetang.privacy.models import Export


def _holding_her(person: Person) -> Iterator[Export]:
    """Files that are still there and name her. Raises NotNow while a file is being written that may."""
    if Export.objects.filter(state=Export.MAKING, personal=True).exists():
        raise NotNow("exports")
    yield from _finished(person)


def _finished(person: Person) -> Iterator[Export]:
    hers = BitMap(person.numbers)
    for export in Export.objects.filter(state=Export.READY).exclude(people=None).order_by("pk"):
        if BitMap.deserialize(bytes(export.people or b"")) & hers:
            yield export


def _count(person: Person) -> int:
    return sum(1 for _export in _holding_her(person))


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    changed = 0
    for export in list(_holding_her(person)):
        changed += exports.end(export, "erased")
        checkpoint()
    exports.remove_files()
    return changed


def _tell(person: Person) -> list[dict[str, Any]]:
    """The files with her that are there now. Not one that is being written: it may be the copy that is asked for."""
    return [
        {"asked_at": one.asked_at, "title": one.title, "purpose": one.purpose, "deleted_at": one.expires_at}
        for one in _finished(person)
    ]


HOLDINGS = [
    Holding(
        "exports",
        _("Exported files"),
        _count,
        _erase,
        _tell,
        kept=_("Copies that somebody downloaded before: the register of exports says who, when and for which purpose."),
    )
]
