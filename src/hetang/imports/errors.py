"""Why a file, a mapping or a step was refused. Codes are stable; their wording is in `imports.messages`."""

from __future__ import annotations

from dataclasses import dataclass, field

Parameters = dict[str, str | int]


@dataclass
class ImportRefused(Exception):
    """The file or the request as a whole cannot be used. `code` names the message, `parameters` fill it."""

    code: str
    parameters: Parameters = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code} {self.parameters}" if self.parameters else self.code


class Unreadable(ImportRefused):
    """The file cannot be read: empty, damaged, too large once unpacked, or not of a kind that we read."""


class BadMapping(ImportRefused):
    """The mapping cannot work: a required field without column, a column that is not there, an unknown zone."""


class NotReady(ImportRefused):
    """The step does not fit the import's state: not checked, warnings not confirmed, already running, file changed."""
