"""What can go wrong when a number is asked for."""

from __future__ import annotations


class NotPlanned(LookupError):
    """The programme has no plan yet, so there is nobody to report on."""


class HistoryUnavailable(RuntimeError):
    """The columnar history does not answer or is not laid out yet; it usually is within seconds."""
