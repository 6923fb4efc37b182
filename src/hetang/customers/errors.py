"""What the customers room refuses."""

from __future__ import annotations


class NumbersExhausted(Exception):
    """The next customer number would leave the range of UInt32."""


class NoIdentity(Exception):
    """The customer has no identity that a fact could name (she was erased)."""


class AlreadyApart(Exception):
    """These two are not one person (any more)."""


class KeptApart(Exception):
    """Somebody decided that these two are not the same person; that has to be taken back first."""


class DuplicateName(Exception):
    """A tag or group of this name, or a tag of this code, exists already."""
