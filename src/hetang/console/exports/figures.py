"""Exports of figures: the board, the report of a broadcast, the flow between ponds.

Three functions a kind: `choose_…` takes the parameters from the address, `about_…` says what will leave before it does,
`sheet_of_…` makes the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from hetang.audiences import ponds
from hetang.audiences.models import PondSet
from hetang.console.exports.pieces import moment, one_of
from hetang.console.insights import board_page, report_page
from hetang.console.ponds.flows import NOW, Flow, flow_of
from hetang.insights.errors import HistoryUnavailable
from hetang.insights.queries import board
from hetang.insights.reports import broadcast_report, reported
from hetang.platform.access import Actor
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import About, Parameters, Sheet
from hetang.touch.models import Programme


def choose_board(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The days themselves: “last week” would be another one when the file is made."""
    comparison, _mistake = board_page.chosen(given)
    before, after = comparison.before, comparison.after
    days = {"from": after.first, "to": after.last, "before_from": before.first, "before_to": before.last}
    return {name: day.isoformat() for name, day in days.items()}


def about_board(_actor: Actor, chosen: Parameters) -> About:
    comparison, _mistake = board_page.chosen(chosen)
    spans = ((_("Period"), comparison.after), (_("Compared with"), comparison.before))
    return About(_("GMV board"), [(label, f"{span.first} – {span.last}") for label, span in spans])


def sheet_of_board(actor: Actor, chosen: Parameters) -> Sheet:
    comparison, _mistake = board_page.chosen(chosen)
    try:
        found = board(comparison, actor.scope("board:view"))
    except HistoryUnavailable as away:
        raise PrivacyRefused("history_away") from away
    return Sheet(board_page.header(), board_page.rows(found))


def choose_report(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"report": given.get("report", "")}


def _programme(actor: Actor, chosen: Parameters) -> Programme:
    found: Programme = one_of(reported(actor.scope("reports:view")), chosen["report"])
    return found


def about_report(actor: Actor, chosen: Parameters) -> About:
    programme = _programme(actor, chosen)
    title = _("Report of “%(name)s”") % {"name": programme.name}
    return About(title, [(_("Broadcast"), programme.name), (_("Planned for"), moment(programme.slot_at))])


def sheet_of_report(actor: Actor, chosen: Parameters) -> Sheet:
    found = broadcast_report(_programme(actor, chosen), actor.scope("reports:view"))
    return Sheet(report_page.header(), report_page.rows(found))


def choose_ponds(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The days themselves. “Now” stays now: it is when the file is made."""
    return {name: given.get(name, "") for name in ("set", "from", "to")}


def _pond_set(actor: Actor, chosen: Parameters) -> PondSet:
    found: PondSet = one_of(ponds.visible(actor.scope("audiences:view")), chosen["set"])
    return found


def about_ponds(actor: Actor, chosen: Parameters) -> About:
    pond_set = _pond_set(actor, chosen)
    until = _("now, when the file is made") if chosen["to"] in {"", NOW} else chosen["to"]
    lines = [(_("Pond set"), pond_set.name), (_("From the beginning of"), chosen["from"])]
    return About(_("Flow between ponds"), [*lines, (_("until the beginning of"), until)])


def sheet_of_ponds(actor: Actor, chosen: Parameters) -> Sheet:
    """A row for each way that somebody took."""
    try:
        found, _missed = flow_of(_pond_set(actor, chosen), actor.scope("audiences:view"), chosen["from"], chosen["to"])
    except (EngineUnavailable, ServiceError) as away:
        raise PrivacyRefused("history_away") from away
    if not isinstance(found, Flow):
        raise PrivacyRefused("thing_gone")
    header = [pgettext("flow", "From"), pgettext("flow", "To"), _("Number of people")]
    rows = (
        [source.name, target.name, people]
        for source, row in zip(found.before, found.matrix, strict=True)
        for target, people in zip(found.after, row, strict=True)
        if people
    )
    return Sheet(header, rows)
