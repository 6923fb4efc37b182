"""Exports of figures: the board, and the report of a broadcast.

Three functions a kind: `choose_…` takes the parameters from the address, `about_…` says what will leave before it does,
`sheet_of_…` makes the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from hetang.console.exports.pieces import moment, one_of
from hetang.console.insights import board_page, report_page
from hetang.insights.errors import HistoryUnavailable
from hetang.insights.queries import board
from hetang.insights.reports import broadcast_report, reported
from hetang.platform.access import Actor
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
