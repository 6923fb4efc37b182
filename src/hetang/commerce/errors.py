"""What the commerce room refuses."""

from __future__ import annotations


class HistoryBehind(Exception):
    """The columnar history ends before the window that should be appended: something of it was lost."""
