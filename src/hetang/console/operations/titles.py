"""What jobs are called. Work that starts by itself has no title in anybody's language, only its kind."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.platform.models import JobRun
from hetang.privacy import retention

KINDS: dict[str, str | Promise] = {
    "operations.backup": _("Backup"),
    "operations.base_backup": _("Base backup"),
    "operations.drill": _("Restore drill"),
    "history.rebuild": _("Rebuilding the history"),
    "commerce.rhythm": _("Reading the rhythm of purchases"),
    "demo.load": _("Demo data"),
    "demo.trial": _("Peopling the simulated WeCom"),
    "wecom.cost": _("Counting what WeCom charges for"),
    "wecom.accounts": _("Accounts follow their departments"),
    "wecom.handover": _("Handing over customers and groups"),
    "wecom.prepare_handover": _("Preparing a hand-over"),
    "wecom.check": _("Checking the set-up of WeCom"),
    "wecom.sync": _("Staff and friends from WeCom"),
    "privacy.erase": _("Erasing a customer"),
    "privacy.keeping": _("Removing what is over"),
    "customers.look_for_same": _("Looking for customers who are one person"),
    "privacy.verify_audit": _("Checking the seals of the audit log"),
    "privacy.rotate_keys": _("Changing the keys"),
}
# These say what is done to the thing that the title names.
OF: dict[str, str | Promise] = {
    "imports.check": _("Check: %(title)s"),
    "imports.run": _("Import: %(title)s"),
    "privacy.export": _("Export: %(title)s"),
    "privacy.export_large": _("Export: %(title)s"),
}

# What a finished job tells, by the name under which it tells it; names without wording are shown as they are.
RESULTS: dict[str, str | Promise] = {
    "new": pgettext_lazy("job result", "new"),
    "back": pgettext_lazy("job result", "back again"),
    "gone": pgettext_lazy("job result", "gone"),
    "tags": pgettext_lazy("job result", "tags"),
    "staff": pgettext_lazy("job result", "members who serve customers"),
    "members": pgettext_lazy("job result", "members"),
    "groups": pgettext_lazy("job result", "group chats"),
    "groups_listed": pgettext_lazy("job result", "group chats listed"),
    "groups_gone": pgettext_lazy("job result", "group chats gone"),
    "changed": pgettext_lazy("job result", "changed"),
    "refused": pgettext_lazy("job result", "refused"),
    "skipped": pgettext_lazy("job result", "skipped"),
    "relations": pgettext_lazy("job result", "friendships"),
    "people": pgettext_lazy("job result", "people"),
    "pairs": pgettext_lazy("job result", "pairs to look at"),
    "gaps": pgettext_lazy("job result", "times between purchases"),
    "undone": pgettext_lazy("job result", "undone"),
    "state": pgettext_lazy("job result", "state"),
    "waits_for": pgettext_lazy("job result", "waits for"),
    "number": pgettext_lazy("job result", "register number"),
    "rows": pgettext_lazy("job result", "rows"),
    "stated": pgettext_lazy("job result", "basis stated"),
    "left_out": pgettext_lazy("job result", "left out"),
    "lines": pgettext_lazy("job result", "lines"),
    "path": pgettext_lazy("job result", "where it lies"),
    "bytes": pgettext_lazy("job result", "bytes"),
    "removed": pgettext_lazy("job result", "removed"),
    "seconds": pgettext_lazy("job result", "seconds"),
}


def result_label(run: JobRun, name: str) -> str | Promise:
    """What a figure of a job's result is called; of the keeping times it is the kind of data that went."""
    kind = retention.kind_of(name) if run.kind == "privacy.keeping" else None
    return kind.label if kind else RESULTS.get(name, name)


def job_title(run: JobRun) -> str:
    """A job in the current language."""
    if run.kind in OF:
        return str(OF[run.kind]) % {"title": run.title}
    return str(KINDS.get(run.kind, run.title))
