"""The fields of conditions on places."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hetang.audiences.rules import Catalogue
from hetang.console.audiences.field import Choices, Field


def near(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    """Whose position is how near to which stores."""
    op = leaf.get("op", "within")
    ops = [("within", _("is near")), ("nearest", _("has as its nearest open store"))]
    fields = [
        Field("of", _("Whose position"), "select", leaf.get("of", ""), _positions(known)),
        Field("op", _("How"), "select", op, ops, shape=True),
        Field("stores", _("Stores"), "pick", leaf.get("stores", []), source="placed_stores", many=True),
    ]
    if op == "within":
        fields.insert(2, Field("km", _("At most so far"), "decimal", leaf.get("km", 3), hint=_("km")))
    return fields


def district(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    """Whose position is in which districts of the brand's list, or in which of its cities."""
    districts, cities = leaf.get("districts", []), leaf.get("parents", [])
    by_city, by_district = _("Cities (by the nearest centre, up to 50 km)"), _("or districts (far less sure)")
    return [
        Field("of", _("Whose position"), "select", leaf.get("of", ""), _positions(known)),
        Field("parents", by_city, "pick", cities, source="cities", many=True, optional=True),
        Field("districts", by_district, "pick", districts, source="districts", many=True, optional=True),
    ]


def _positions(known: Catalogue) -> Choices:
    chinese = (get_language() or "").startswith("zh")
    places = [(code, one) for code, one in known.attributes.items() if one.type == "place"]
    return [(code, one.label_zh if chinese else one.label_en) for code, one in places]
