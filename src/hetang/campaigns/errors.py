"""Errors of the campaigns room: a code and what fills its message; surfaces word them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a composition: the field, a code, what fills the message."""

    field: str
    code: str
    detail: dict[str, Any] = dataclasses.field(default_factory=dict)


class CampaignError(Exception):
    """What was asked for cannot be done now. `problems` names each reason."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(", ".join(f"{problem.field}: {problem.code}" for problem in problems))
        self.problems = problems

    @property
    def code(self) -> str:
        return self.problems[0].code
