"""After a restore: the columnar history is derived, and is made again from the log."""

from __future__ import annotations

from datetime import datetime

from hetang.platform import jobs


def rebuild_history(_taken_at: datetime) -> None:
    """Plan the rebuild. A ClickHouse of its own may hold a future that PostgreSQL does not know any more."""
    jobs.enqueue("history.rebuild", "Rebuild the columnar history", {})
