"""Why a fact was not taken. Codes are stable; their wording is in `facts.messages`."""

from __future__ import annotations

from dataclasses import dataclass, field

Detail = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """One fact cannot be taken: a code and the parameters of its message, never a personal value."""

    code: str
    detail: Detail = field(default_factory=dict)


class MalformedBatch(Exception):
    """The request body as a whole is not what the door takes: nothing of it was read."""

    def __init__(self, code: str, detail: Detail | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail: Detail = detail or {}
