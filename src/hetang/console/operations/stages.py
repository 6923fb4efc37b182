"""What the stages of jobs are called; a stage of several words is joined by a middle dot."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

STAGES = frozenset(
    {
        gettext_noop("files"),
        gettext_noop("stores"),
        gettext_noop("products"),
        gettext_noop("customers"),
        gettext_noop("orders"),
        gettext_noop("refunds"),
        gettext_noop("visits"),
        gettext_noop("checking"),
        gettext_noop("reading"),
        gettext_noop("grouping"),
        gettext_noop("writing"),
        gettext_noop("applying"),
        gettext_noop("simulator"),
        gettext_noop("staff"),
        gettext_noop("counting"),
        gettext_noop("database"),
        gettext_noop("checksums"),
        gettext_noop("base"),
        gettext_noop("log"),
        gettext_noop("counts"),
        gettext_noop("settling"),
        gettext_noop("gone"),
        gettext_noop("handing over"),
        gettext_noop("asking WeCom"),
        gettext_noop("judging"),
        gettext_noop("sharing out"),
        gettext_noop("rotating"),
        gettext_noop("done"),
    }
)


def stage_label(stage: str) -> str:
    """A job's stage in the current language; words that are not known here stay as they are."""
    return " · ".join(gettext(word) if word in STAGES else word for word in stage.split(" · "))
