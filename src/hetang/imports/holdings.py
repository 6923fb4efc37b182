"""Uploaded files that name a person. A file is not rewritten: it is removed whole, since its facts are in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from hetang.facts.errors import Refusal
from hetang.facts.rules import normalise_identity
from hetang.imports import reading
from hetang.imports.errors import Unreadable
from hetang.imports.models import Import
from hetang.platform import files
from hetang.platform.environment import home
from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person

_OPEN = (Import.CHECKING, Import.RUNNING)
_PERHAPS_PHONE = re.compile(r"[+()\d][\d\s().\-]{4,24}")


def remove_file(owner: Import) -> None:
    """Forget the uploaded file; what it brought stays. One that was not run yet cannot be run any more."""
    with transaction.atomic():
        stored = owner.stored_file
        Import.objects.filter(pk=owner.pk).update(stored_file=None)
        Import.objects.filter(pk=owner.pk, state__in=(Import.DRAFT, Import.CHECKED)).update(state=Import.CANCELLED)
        if stored is not None:
            files.remove(stored)


def _uploads(person: Person, checkpoint: Checkpoint | None = None) -> Iterator[Import]:
    """Imports whose file names her in any cell, mapped or not."""
    rows = Import.objects.filter(created_at__lte=person.at).exclude(stored_file=None)
    for owner in rows.select_related("stored_file").order_by("pk"):
        if names_her(owner, person):
            yield owner
        if checkpoint is not None:
            checkpoint()


def names_her(owner: Import, person: Person) -> bool:
    """Reads the file once, about ten million cells in ten seconds. A file that cannot be read counts as naming her."""
    assert owner.stored_file is not None  # noqa: S101 - the caller chose those that have one
    values = {one.value for one in person.identities}
    choice = [owner.mapping.get(name, "") for name in ("encoding", "delimiter", "sheet")]
    try:
        with files.unsealed(owner.stored_file, home() / "files" / "scratch") as path:
            return any(_in_block(block.table, values) for block in reading.read(path, owner.form, *choice))
    except (Unreadable, OSError, files.DamagedFile):
        return True


def _in_block(table: Any, values: set[str]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in table.columns:
        texts = pc.unique(column.cast(pa.string())).to_pylist()
        if any(text and _is_hers(text.strip(), values) for text in texts):
            return True
    return False


def _is_hers(text: str, values: set[str]) -> bool:
    if text in values or text.lower() in values:
        return True
    if not _PERHAPS_PHONE.fullmatch(text):
        return False
    try:
        return normalise_identity("phone", text) in values
    except Refusal:
        return False


def _count(person: Person) -> int:
    return sum(1 for _owner in _uploads(person)) + len(_sampled(person))


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """Raises NotNow while a file that names her is being checked or taken in."""
    changed = 0
    for owner in list(_uploads(person, checkpoint)):
        if owner.state in _OPEN:
            raise NotNow("imports")
        remove_file(owner)
        changed += 1
    for owner in _sampled(person):
        owner.columns = [column | {"samples": []} for column in owner.columns]
        owner.save(update_fields=["columns"])
        changed += 1
    return changed


def _sampled(person: Person) -> list[Import]:
    """Imports that show one of her values among the samples of their columns."""
    values = {one.value for one in person.identities}
    return [
        owner
        for owner in Import.objects.only("columns").order_by("pk")
        if any(sample in values for column in owner.columns for sample in column.get("samples", ()))
    ]


HOLDINGS = [
    Holding(
        "imports",
        _("Uploaded files"),
        _count,
        _erase,
        kept=_("Files in folders of the server, from which files may be imported, belong to whoever put them there."),
        by_value=True,
    ),
]
