"""One field of a condition's form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Choices = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Field:
    """One field. `key` is where its value stands in the condition; `kind` is select, pick (a searchable list from
    `source`), number, decimal, money, text, day, time or truth. `shape` fields decide which others there are."""

    name: str
    label: str
    kind: str
    value: Any
    choices: Choices = ()
    source: str = ""
    many: bool = False
    pair: bool = False
    shape: bool = False
    optional: bool = False
    hint: str = ""
    blank: str = ""  # what an empty field means, shown in it
    digits: int = 2
    part: str = ""  # the part of the condition in which the value stands
    drawn: bool = False  # it decides what the page shows and stands nowhere in the condition

    @property
    def key(self) -> str:
        return self.name.removeprefix(f"{self.part}-")

    def initial(self) -> dict[str, Any]:
        """The value when the form did not show the field."""
        return {} if self.optional and self.value in (None, "", []) else {self.key: self.value}

    def typed(self, text: str) -> Any:
        """What a text means; the text itself where it means nothing (it is then refused at its place)."""
        text = text.strip()
        if text == "":
            return None if self.kind not in {"text", "pick", "select"} else (None if self.optional else "")
        if self.kind == "truth":
            return text == "yes"
        if self.kind in {"number", "decimal", "money"}:
            return self._number(text)
        return text

    def _number(self, text: str) -> Any:
        try:
            value = Decimal(text.replace(",", ""))
        except InvalidOperation:
            return text
        if not value.is_finite():
            return text
        if self.kind == "money":
            value *= 10**self.digits
        whole = value == value.to_integral_value()
        if self.kind == "decimal":
            return int(value) if whole else float(value)
        return int(value) if whole else text

    def shown(self, value: Any) -> str:
        """A value as the input shows it."""
        if value is None or value == "":
            return ""
        if self.kind == "money" and isinstance(value, int) and not isinstance(value, bool):
            return f"{Decimal(value) / 10**self.digits:f}" if self.digits else str(value)
        if self.kind == "truth":
            return "yes" if value is True else "no"
        return str(value)
