"""Long work of the commerce room."""

from __future__ import annotations

from typing import Any

from hetang.commerce import history
from hetang.platform.jobs import Work, job


@job("history.rebuild")
def rebuild(_work: Work) -> dict[str, Any]:
    """Empty the columnar history; its stream then reads the log again. Running it twice only starts it anew."""
    history.rebuild_history()
    return {}
