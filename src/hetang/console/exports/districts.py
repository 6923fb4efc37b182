"""The export of the brand's own list of districts: what its import takes."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from hetang.imports import messages
from hetang.imports.targets import DISTRICTS, TARGETS
from hetang.platform import positions
from hetang.platform.access import Actor
from hetang.privacy.exports import About, Parameters, Sheet
from hetang.resources import queries

_COLUMNS = ("code", "name", "parent", "latitude", "longitude", "datum")


def choose_districts(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The filters of the list."""
    return {name: given.get(name, "") for name in ("q", "city")}


def about_districts(_actor: Actor, chosen: Parameters) -> About:
    """How many leave, and of which."""
    lines = [(label, chosen[name]) for name, label in (("q", _("Search")), ("city", _("City"))) if chosen[name]]
    return About(_("Districts"), [(_("Districts"), f"{queries.districts(chosen).count():,}"), *lines])


def sheet_of_districts(_actor: Actor, chosen: Parameters) -> Sheet:
    """A row for each district, under the headings by which an import knows its columns."""
    header = [messages.field_label(TARGETS[DISTRICTS], name) for name in _COLUMNS]
    found = queries.districts(chosen).values_list(*_COLUMNS).iterator()
    return Sheet(header, ([*row, positions.NAMES.get(datum, "")] for *row, datum in found))
