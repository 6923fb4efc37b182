"""What may go wrong in this room."""

from __future__ import annotations


class NotDelivered(Exception):
    """A message did not go out. `code` is for people to be told (`hetang.operations.messages.trouble`); it never holds
    an address or a password. `permanent`: trying again would not help."""

    def __init__(self, code: str, *, permanent: bool = False) -> None:
        super().__init__(code)
        self.code, self.permanent = code, permanent
