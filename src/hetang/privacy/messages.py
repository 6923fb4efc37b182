"""The wording of what the privacy room refuses: what is wrong and what to do next, in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

from hetang.privacy.errors import PrivacyRefused

_REFUSALS = {
    "bad_reason": gettext_noop("Choose a reason."),
    "text_missing": gettext_noop("Say in a few words why you need it."),
    "nothing_there": gettext_noop("There is nothing to show any more. Load the page again."),
    "limit_reached": gettext_noop(
        "You have seen %(limit)s values in full today, and more are not allowed. Ask the privacy officer if your work"
        " needs it, or go on tomorrow."
    ),
    "out_of_bounds": gettext_noop("Choose a number from %(low)s to %(high)s."),
    "erased_already": gettext_noop("Her personal information was deleted already."),
    "erasing_already": gettext_noop("Her personal information is being deleted already."),
    "link_over": gettext_noop("This link is over. Ask for a new one."),
    "tries_over": gettext_noop("There were too many wrong answers today. Try again tomorrow, with a new link."),
    "request_open": gettext_noop("This was asked for already and is being dealt with."),
    "request_text_missing": gettext_noop("Say in a few words what you mean."),
    "request_closed": gettext_noop("Somebody answered it meanwhile."),
    "answer_missing": gettext_noop("Write an answer: the customer reads it."),
    "version_missing": gettext_noop("Give the text a version, for example 2026-11."),
    "version_taken": gettext_noop("There is a text of this version already. Texts are never changed: choose another."),
    "text_incomplete": gettext_noop("Write the text in both languages."),
    "bad_basis": gettext_noop("Choose a legal basis."),
    "basis_text_missing": gettext_noop("Say which version of the text they agreed to, so that it can be proven later."),
    "basis_reason_missing": gettext_noop("Say in a few words where it is written down."),
    "nothing_to_state": gettext_noop("Every consent of this source counts already."),
    "stating_already": gettext_noop("The basis of these consents is being stated already."),
    "rotating": gettext_noop("The keys are being rotated already."),
    "erasing_first": gettext_noop("Somebody is being erased. Start again when that is done."),
    "keeping_runs": gettext_noop("What is over is being removed already."),
    "bad_purpose": gettext_noop("Choose what it is for."),
    "purpose_text_missing": gettext_noop("Say in a few words what it is for."),
    "nothing_to_export": gettext_noop("Nothing fits any more, so there is nothing to export. Change the filters."),
    "thing_gone": gettext_noop("What was to be exported is not there any more."),
    "no_snapshot": gettext_noop("The audience has no snapshot yet. Refresh it first."),
    "history_away": gettext_noop("The purchase history is not available now. Try again in a minute."),
    "export_over": gettext_noop("The file is gone: its time was over, or it was deleted. Export it again."),
    "export_changed": gettext_noop("The export has gone on meanwhile. Look at it again."),
}


def refusal_text(problem: PrivacyRefused) -> str:
    """One sentence; the bare code if it is not known here."""
    template = _REFUSALS.get(problem.code)
    return gettext(template) % problem.parameters if template else str(problem)
