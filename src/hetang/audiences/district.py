"""In which district a customer's position lies, by the nearest centre of the brand's own list: a condition, how its
JSON is read, and its words. Borders are not known, so it is an approximation and says so wherever it is shown. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader
    from hetang.audiences.sentences import Writer

NEAREST_KM = 50  # further away no centre is the nearest: `nearness.NEAREST_M`


@dataclass(frozen=True)
class Place:
    """A district: what it and the city above it are called, and its centre (WGS-84, millionths of a degree)."""

    name: str
    parent: str
    at: tuple[int, int]

    @property
    def shown(self) -> str:
        """Many cities have a district of one name."""
        return f"{self.name} · {self.parent}" if self.parent else self.name


@dataclass(frozen=True, slots=True)
class InDistrict:
    """The nearest centre to a position of hers (the code of an attribute) is that of one of these districts (codes), or
    of a district of one of these cities (names)."""

    of: str
    districts: tuple[str, ...]
    parents: tuple[str, ...]


def wanted(node: InDistrict, known: Mapping[str, Place]) -> frozenset[str]:
    """The codes of the districts that are asked for."""
    return frozenset(node.districts) | {code for code, one in known.items() if one.parent in node.parents}


def read(r: Reader, raw: dict[str, Any], path: tuple[str | int, ...]) -> InDistrict:
    """A condition from its JSON."""
    r.only(raw, {"type", "of", "districts", "parents"}, path)
    of, parents = r.text(raw, "of", path), r.texts(raw, "parents", path, required=False)
    definition = r.catalogue.attributes.get(of)
    if of and definition is None:
        r.problem((*path, "of"), "unknown_attribute", code=of[:60])
    elif definition is not None and definition.type != "place":
        r.problem((*path, "of"), "not_a_place", code=of[:60])
    districts = r.texts(raw, "districts", path, required=not parents)
    r.known(districts, r.catalogue.districts, "district", (*path, "districts"))
    r.known(parents, {one.parent: one for one in r.catalogue.districts.values()}, "district", (*path, "parents"))
    return InDistrict(of, districts, parents)


def shapes(name: dict[str, Any], names: dict[str, Any], some: dict[str, Any]) -> list[dict[str, Any]]:
    """The published shapes, given those of a name, of a list of names, and of one that is not empty."""
    return [
        {
            "type": "object",
            "properties": {"of": name, **lists},
            "required": ["of", needed],
            "additionalProperties": False,
        }
        for needed, lists in (
            ("districts", {"districts": some, "parents": names}),
            ("parents", {"districts": names, "parents": some}),
        )
    ]


def sentence(w: Writer, node: InDistrict) -> str:
    """In words, with what it goes by."""
    definition = w.catalogue.attributes[node.of]
    what = w.say(definition.label_zh, definition.label_en.lower())
    where = w.listed([*node.parents, *(w.catalogue.districts[code].shown for code in node.districts)])
    return w.say(
        f"{what}约在{where}（按最近的区县中心推算，{NEAREST_KM} 公里以内）",
        f"{what} is about in {where} (by the nearest centre of a district, up to {NEAREST_KM} km)",
    )
