"""Why something cannot be handed over; the console has the words."""

from __future__ import annotations


class HandoverRefused(Exception):
    """A hand-over cannot be prepared or begun. `code` says why: `unreachable`, `nothing`, `nobody`, `same`, `begun`,
    `no_function`, `running`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
