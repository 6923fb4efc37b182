"""Reads of imports: the list, presets that fit, rows that were not taken."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice

from django.utils.translation import get_language, override

from hetang.imports import messages, problems, rules
from hetang.imports.columns import Problem
from hetang.imports.models import Import, Preset
from hetang.imports.targets import TARGETS, Target

_BATCH = 1000


def newest(limit: int = 50) -> list[Import]:
    """The latest imports, newest first."""
    return list(Import.objects.select_related("run_job", "check_job", "created_by").order_by("-id")[:limit])


def fitting_presets(owner: Import) -> list[Preset]:
    """Presets of the same target whose columns are all in the file."""
    headers = {column["header"] for column in owner.columns}
    presets = Preset.objects.filter(target=owner.target).order_by("name")
    return [preset for preset in presets if set(preset.mapping.get("columns", {}).values()) <= headers]


def problem_rows(owner: Import, stage: str) -> Iterator[str]:
    """The rows that were not taken as CSV text, piece by piece, in the current language: row, field, value, reason,
    remedy. Starts with a BOM, without which Excel misreads Chinese; no cell can run as a formula."""
    language = get_language()
    found = iter(problems.read(owner.public_id, stage))
    yield "\ufeff" + _line([str(heading) for heading in messages.PROBLEM_HEADINGS])
    while batch := list(islice(found, _BATCH)):
        with override(language):  # the request that asked may be over before the last row is read
            text = "".join(_row(TARGETS[owner.target], problem) for problem in batch)
        yield text


def _row(target: Target, problem: Problem) -> str:
    reason, remedy = messages.problem(problem.code, problem.detail)
    cells = (messages.field_label(target, problem.field), problem.value, reason, remedy)
    return _line([str(problem.row), *map(rules.safe_cell, cells)])


def _line(cells: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)
    return stream.getvalue()
