"""What resources refuse."""

from __future__ import annotations

from collections.abc import Sequence


class PositionRefused(Exception):
    """A store or the centre of a district cannot be there; `code` says why: one of `positions.FAULTS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnknownStores(Exception):
    """Rows name stores that do not exist; `codes` lists them. Nothing was written."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__(", ".join(codes))
        self.codes = tuple(codes)
