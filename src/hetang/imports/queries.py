"""Reads of imports: the list, presets that fit, rows that were not taken."""

from __future__ import annotations

from collections.abc import Iterator

from hetang.imports import messages, problems
from hetang.imports.models import Import, Preset
from hetang.imports.targets import TARGETS


def newest(limit: int = 50) -> list[Import]:
    """The latest imports, newest first."""
    return list(Import.objects.select_related("run_job", "check_job", "created_by").order_by("-id")[:limit])


def last_done(target: str) -> Import | None:
    """The newest import of a target that ran to its end."""
    done = Import.objects.filter(target=target, state=Import.DONE).select_related("created_by")
    return done.order_by("-finished_at", "-id").first()


def fitting_presets(owner: Import) -> list[Preset]:
    """Presets of the same target whose columns are all in the file."""
    headers = {column["header"] for column in owner.columns}
    presets = Preset.objects.filter(target=owner.target).order_by("name")
    return [preset for preset in presets if set(preset.mapping.get("columns", {}).values()) <= headers]


def problem_rows(owner: Import, stage: str) -> Iterator[list[str]]:
    """The rows that were not taken, in the current language: row, field, value (masked where personal), reason, remedy;
    their headings are `messages.PROBLEM_HEADINGS`."""
    target = TARGETS[owner.target]
    for problem in problems.read(owner.public_id, stage):
        reason, remedy = messages.problem(problem.code, problem.detail)
        yield [str(problem.row), messages.field_label(target, problem.field), problem.value, reason, remedy]
