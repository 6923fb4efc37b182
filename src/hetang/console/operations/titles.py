"""What jobs are called. Work that starts by itself has no title in anybody's language, only its kind."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.platform.models import JobRun

KINDS: dict[str, str | Promise] = {
    "operations.backup": _("Backup"),
    "operations.base_backup": _("Base backup"),
    "operations.drill": _("Restore drill"),
    "history.rebuild": _("Rebuilding the history"),
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


def job_title(run: JobRun) -> str:
    """A job in the current language."""
    if run.kind in OF:
        return str(OF[run.kind]) % {"title": run.title}
    return str(KINDS.get(run.kind, run.title))
