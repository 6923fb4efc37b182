"""Small files of every kind, and an import taken the whole way."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec

from hetang.imports import mapping, services
from hetang.imports.models import Import
from hetang.platform import jobs


def csv_bytes(rows: Sequence[Sequence[object]], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """A CSV file; the first row is the header."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue().encode(encoding)


def uploaded(target: str, content: bytes, name: str = "file.csv", **changes: Any) -> Import:
    """An uploaded import under its suggested mapping with changes."""
    owner = services.upload(target, name, [content])
    suggested = mapping.decode(owner.mapping)
    services.save_mapping(owner, msgspec.structs.replace(suggested, **changes))
    return owner


def checked(owner: Import) -> Import:
    """The import after its check."""
    services.start_check(owner)
    jobs.run_waiting()
    owner.refresh_from_db()
    return owner


def imported(target: str, content: bytes, name: str = "file.csv", **changes: Any) -> Import:
    """An import taken the whole way, every warning confirmed."""
    owner = checked(uploaded(target, content, name, **changes))
    assert owner.state == Import.CHECKED, owner.failure
    services.confirm(owner, services.unconfirmed(owner))
    services.start_run(owner)
    jobs.run_waiting()
    owner.refresh_from_db()
    return owner
