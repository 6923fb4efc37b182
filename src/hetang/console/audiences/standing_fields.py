"""The fields of conditions on where somebody stands among all customers."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hetang.audiences import standing_sentences
from hetang.audiences.rules import Catalogue
from hetang.audiences.standing_rules import ANY_SCORE, ATTRIBUTE, IN_PERIOD, LETTERS, MEASURED_BY, NARROWED, SEGMENTS
from hetang.console.audiences.field import Field

TOP_SPENDERS: dict[str, Any] = {"type": "percentile", "side": "top", "percent": 10, "by": "spent", "days": 90}
AT_RISK: dict[str, Any] = {"type": "rfm", "segments": ["important_keep"], "days": 365}


def percentile(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    """The best or worst per cent by a measure."""
    by = str(leaf.get("by", "spent"))
    numbers = [f"{ATTRIBUTE}{code}" for code, one in known.attributes.items() if one.type == "number"]
    measures = [(one, _first_up(_named(standing_sentences.measure_name(one, known)))) for one in MEASURED_BY]
    measures += [(one, _named(standing_sentences.measure_name(one, known))) for one in numbers]
    sides = [("top", _("top (highest)")), ("bottom", _("bottom (lowest)"))]
    found = [
        Field("by", _("Compared by"), "select", by, measures, shape=True),
        Field("side", _("Which end"), "select", leaf.get("side", "top"), sides),
        Field("percent", _("Per cent"), "decimal", leaf.get("percent", 10), hint="%"),
    ]
    if by in IN_PERIOD:
        found.append(
            Field("days", _("In the last days"), "number", leaf.get("days"), optional=True, blank=_("all time"))
        )
    labels = {"category": (_("Category"), "categories"), "store": (_("Store"), "stores")}
    for name in NARROWED.get(by, ()):
        label, source = labels[name]
        found.append(Field(name, label, "pick", leaf.get(name, ""), source=source, optional=True))
    return found


def rfm(leaf: dict[str, Any]) -> list[Field]:
    """Segments, or scores of each letter."""
    drawn = leaf.get("cell")
    cell = drawn if drawn in {"segments", "scores"} else "scores" if leaf.keys() & set(LETTERS) else "segments"
    cells = [("segments", _("segment")), ("scores", _("scores"))]
    found = [Field("cell", _("Chosen by"), "select", cell, cells, shape=True, drawn=True)]
    if cell == "segments":
        segments = [one for one in leaf.get("segments") or [] if isinstance(one, str)]
        found.append(Field("segments", _("Segments"), "pick", segments, source="rfm_segments", many=True))
    else:
        names = {
            "recency": _("R score (5: latest)"),
            "frequency": _("F score (5: most often)"),
            "money": _("M score (5: most)"),
        }
        found += [
            Field(letter, names[letter], "number", leaf.get(letter) or list(ANY_SCORE), pair=True) for letter in LETTERS
        ]
    days = leaf.get("days")
    return [*found, Field("days", _("Days of F and M"), "number", days, optional=True, blank=_("all time"))]


def segments() -> list[tuple[str, str]]:
    """The segments with their names."""
    return [(code, _named(standing_sentences.SEGMENT_NAMES[code])) for code in SEGMENTS]


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def _named(names: tuple[str, str]) -> str:
    return names[0] if (get_language() or "").startswith("zh") else names[1]
