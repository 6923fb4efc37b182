"""What exports say to people."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.platform.approvals import ApprovalRefused
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import Export

Text = str | Promise

STATES: dict[str, tuple[Text, str]] = {
    Export.WAITING: (pgettext_lazy("export", "Waits for approval"), "warn"),
    Export.MAKING: (pgettext_lazy("export", "Being written"), "info"),
    Export.READY: (pgettext_lazy("export", "Ready"), "good"),
    Export.GONE: (pgettext_lazy("export", "File deleted"), ""),
    Export.FAILED: (pgettext_lazy("export", "Failed"), "bad"),
    Export.WITHDRAWN: (pgettext_lazy("export", "Taken back"), ""),
}
# Why a file is not there (any more).
WHY: dict[str, Text] = {
    "expired": _("Its time was over."),
    "deleted": _("Somebody deleted it before its time."),
    "erased": _("A customer in it was erased, so the whole file went. Export it again without her."),
    "nobody": _("Nobody went on with it."),
    "too_many": _("More rows fit by now than may be exported without approval. Ask again with the new number."),
    "forbidden": _("Whoever asked for it may not export it any more."),
    "thing_gone": _("What was to be exported is not there any more."),
    "no_snapshot": _("The audience has no snapshot yet. Refresh it first."),
    "history_away": _("The purchase history was not available. Try again in a minute."),
    "nothing_to_export": _("Nothing fitted any more."),
    "broken": _("The job was stopped or failed. The jobs page says why; export it again."),
}
# What stands in the way of an export that waits, by the code of the approval.
OBSTACLES: dict[str, Text] = {
    "needed": _("It needs somebody else's approval. Nobody answered in time, or it was taken back: ask again."),
    "waiting": _("Somebody else has to approve it first. It appears in their approvals."),
    "refused": _("It was refused."),
    "changed": _("It has changed since it was asked for: ask again."),
    "too_many": _("More rows fit by now than were approved: ask again."),
    "over": _("It was decided meanwhile. Load the page again."),
    "asked_already": _("It has been asked for already and waits for an answer."),
    "not_needed": _("It needs no approval any more: make the file now."),
}


def said(refused: PrivacyRefused | ApprovalRefused) -> str:
    """Why it cannot be so, in the current language."""
    if isinstance(refused, ApprovalRefused):
        return str(OBSTACLES.get(refused.code, refused.code))
    return refusal_text(refused)
