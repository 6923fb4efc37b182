"""What requests of customers, their states and reasons for erasing are called."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from hetang.privacy.models import Erasure, PrivacyRequest

Text = str | Promise
KINDS: dict[str, Text] = {
    PrivacyRequest.CORRECT: gettext_lazy("Setting something right"),
    PrivacyRequest.ERASE: gettext_lazy("Deleting my data"),
    PrivacyRequest.OTHER: gettext_lazy("Something else"),
}
STATES: dict[str, tuple[Text, str]] = {
    PrivacyRequest.OPEN: (gettext_lazy("Being dealt with"), "info"),
    PrivacyRequest.DONE: (gettext_lazy("Done"), "good"),
    PrivacyRequest.REFUSED: (gettext_lazy("Not possible"), "warn"),
}
REASONS: dict[str, Text] = {
    "asked": gettext_lazy("She asked for it"),
    "withdrawn": gettext_lazy("She withdrew her consent"),
    "purpose_over": gettext_lazy("The purpose is over"),
    "unlawful": gettext_lazy("The data should not have been collected"),
    "law": gettext_lazy("The law demands it"),
}
ERASURES: dict[str, tuple[Text, str]] = {
    Erasure.WAITING: (gettext_lazy("Waiting to start"), ""),
    Erasure.RUNNING: (gettext_lazy("Running"), "info"),
    Erasure.DONE: (gettext_lazy("Erased, with proof"), "good"),
    Erasure.CANCELLED: (gettext_lazy("Was erased already"), ""),
}
