"""Reading conditions on the first source, and their published shapes; like `reading` and `schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetang.audiences.first_source import ANY, FILTERS, FirstSource
from hetang.audiences.relation_reading import codes_of, ways
from hetang.audiences.rules import ADDED, MAX_DAYS, Path

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader

Shape = dict[str, Any]


def first_source(r: Reader, raw: dict[str, Any], path: Path) -> FirstSource:
    """How she came, by what, and when."""
    by = r.choice(raw, "by", tuple(FILTERS), path, ANY)
    r.only(raw, {"type", "by", "days", *FILTERS[by]}, path)
    said = {
        key: ways(r, raw, path) if key == "ways" else r.texts(raw, key, path, required=False) for key in FILTERS[by]
    }
    for key, known, word in (
        ("stores", r.catalogue.stores, "store"),
        ("staff", r.catalogue.staff, "staff"),
        ("groups", r.catalogue.groups, "group"),
    ):
        r.known(said.get(key, ()), known, word, (*path, key))
    days = raw.get("days")
    return FirstSource(
        by,
        **said,
        codes=codes_of(r, said.get("campaigns", ()), path),
        days=None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS),
    )


def shapes(names: Shape, days: Shape) -> list[Shape]:
    """An object for each way to come, given the shapes of a list of names and of a number of days."""
    ways_in = {**names, "items": {"enum": list(ADDED)}}
    found = []
    for by, filters in FILTERS.items():
        properties = {key: ways_in if key == "ways" else names for key in filters}
        found.append({
            "type": "object",
            "properties": {"by": {"const": by}, **properties, "days": {"anyOf": [days, {"type": "null"}]}},
            "required": [] if by == ANY else ["by"],
            "additionalProperties": False,
        })  # fmt: skip
    return found
