"""The jobs of this room, as `settings.JOBS` names them."""

from __future__ import annotations

from typing import Any

from hetang.imports import services
from hetang.imports.models import Import
from hetang.platform.jobs import Work, job


@job("imports.check", own_process=True)
def check(work: Work) -> dict[str, Any]:
    """Read and validate a file; writes nothing."""
    return services.perform_check(Import.objects.get(pk=work.arguments["import"]), work)


@job("imports.run", own_process=True)
def run(work: Work) -> dict[str, Any]:
    """Write a file; continues behind what an attempt that died has written."""
    return services.perform_run(Import.objects.get(pk=work.arguments["import"]), work)
