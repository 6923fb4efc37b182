"""The household that a customer's row tells of: each member's columns judged together and made into one statement.

A member is recognised by the source, the customer as the row names her and the number of its columns, so that a changed
birthday changes the same member. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from hetang.facts.intake import Draft
from hetang.imports.rules import BadValue
from hetang.imports.targets import HOUSEHOLD

_PREGNANCY = timedelta(days=300)  # nobody is due later than this
_APART = timedelta(days=120)  # a birthday further from a due date is that of another child
_PARTS = ("kind", "name", "sex", "born", "due")


def members_of(record: dict[str, Any], today: date) -> Iterator[tuple[int, dict[str, Any], str | None]]:
    """(number of the columns, body without the member's code, name) of each member that a row tells of.

    `today` divides birthdays from due dates. Raises BadValue with the field that is wrong.
    """
    for place in range(1, HOUSEHOLD + 1):
        said = {part: record.get(f"household_{place}_{part}") for part in _PARTS}
        if any(said[part] is not None for part in ("name", "sex", "born", "due")):
            yield place, _body(place, said, today), said["name"]


def _body(place: int, said: dict[str, Any], today: date) -> dict[str, Any]:
    kind = said["kind"] or "child"
    born, due = said["born"], said["due"]
    if born is not None and born > today:
        if kind in {"partner", "parent"}:
            raise BadValue("born_in_future", f"household_{place}_born")
        if born > today + _PREGNANCY:
            raise BadValue("day_too_far", f"household_{place}_born")
        born, due = None, due or born
    if due is not None and due > today + _PREGNANCY:
        raise BadValue("day_too_far", f"household_{place}_due")
    if born is not None and due is not None and abs(born - due) > _APART:
        raise BadValue("due_of_another", f"household_{place}_due")
    if kind == "child" and born is None and due is None:
        raise BadValue("child_without_day", f"household_{place}_born")
    body = {"kind": kind, "born_on": born, "due_on": due, "sex": said["sex"]}
    return {name: value for name, value in body.items() if value is not None}


def minors_among(drafts: Iterable[Draft], born_after: str) -> int:
    """How many of these facts tell of people born after that day (ISO, see `minors`) or not yet: sensitive by law."""
    told = (one.body for one in drafts if one.kind == "household.member_described" and isinstance(one.body, dict))
    days = (body.get("born_on") or body.get("due_on") for body in told if body["kind"] != "pet")
    return sum(day is not None and day.isoformat() > born_after for day in days)
