"""What resources refuse."""

from __future__ import annotations

from collections.abc import Sequence


class PositionRefused(Exception):
    """A store or the centre of a district cannot be there; `code` says why: one of `positions.FAULTS`, or
    `far_from_city`, where the next district of its city is `km` away."""

    def __init__(self, code: str, km: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.km = km


class UnknownStores(Exception):
    """Rows name stores that do not exist; `codes` lists them. Nothing was written."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__(", ".join(codes))
        self.codes = tuple(codes)
