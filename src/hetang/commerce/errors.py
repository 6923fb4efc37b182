"""What the commerce room refuses."""

from __future__ import annotations


class HistoryBehind(Exception):
    """The columnar history ends before the window that should be appended: something of it was lost."""


class HistoryRefuses(Exception):
    """ClickHouse takes hardly any of a window's facts: that is no matter of single ones."""


class ServersDiffer(Exception):
    """The servers of the columnar history do not continue each other: one is new, or was another's place before."""
