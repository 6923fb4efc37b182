"""The alerts that exist: what each is called, what it says, what to do about it, and how long it must last.

`patience_s`: so long a trouble must last before it is told. `calm_s`: so long it must be gone before it is over; one
that comes back sooner is the same alert and is not told again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from hetang.operations.models import Alert

Text = str | Promise
WARN, BAD = Alert.WARN, Alert.BAD
TEST = "test"


@dataclass(frozen=True)
class Kind:
    """One kind of alert. `sentence` is filled in with the alert's subject and detail."""

    code: str
    severity: str
    label: Text
    sentence: Text
    advice: Text
    url_name: str = ""
    patience_s: float = 0
    calm_s: float = 60


KINDS: dict[str, Kind] = {
    one.code: one
    for one in (
        Kind(
            "stream_stopped", BAD, _("Data stream stopped"),
            _("The data stream “%(subject)s” stands at a record that it cannot apply."),
            _("Look at its error on the status page; let it pass the one record when it cannot be mended."),
            "operations:status", patience_s=120, calm_s=120,
        ),
        Kind(
            "stream_lag", WARN, _("Data stream behind"),
            _("The data stream “%(subject)s” is %(seconds)s seconds behind (limit %(limit)s)."),
            _("After a big import this passes by itself. Otherwise look for a long transaction or a busy disk."),
            "operations:status", patience_s=60, calm_s=120,
        ),
        Kind(
            "facts_held", WARN, _("Records held"),
            ngettext_lazy(
"%(count)s record is held and waits for a decision (limit %(limit)s).",
"%(count)s records are held and wait for a decision (limit %(limit)s).",
"count",
),
            _("Look at the reasons, correct the cause at the source, then replay them."),
            "operations:held",
        ),
        Kind(
            "engine_down", BAD, _("Analysis engine away"),
            _("The analysis engine (ClickHouse) does not answer."),
            _("It is started again by itself. If it does not come back, look into its log with `hetang doctor`."),
            "operations:status", patience_s=120,
        ),
        Kind(
            "job_failed", WARN, _("Job failed"),
            _("The last run of “%(title)s”, which starts by itself, failed."),
            _("Its page says why. It is tried again by itself; the alert is over when a run succeeds."),
            "operations:jobs",
        ),
        Kind(
            "job_stuck", WARN, _("Job without progress"),
            _("The job “%(title)s” has shown no progress for %(minutes)s minutes (limit %(limit)s)."),
            _("See whether the worker runs; cancel the job if it hangs."),
            "operations:jobs",
        ),
        Kind(
            "loop_failing", BAD, _("Worker loop failing"),
            _("The loop “%(subject)s” of the worker has failed %(count)s times in a row."),
            _("Look into worker.log for the reason; what the loop does is not done meanwhile."),
            "operations:status",
        ),
        Kind(
            "pages_failing", WARN, _("Pages failing"),
            ngettext_lazy(
"%(count)s request was answered with an error within ten minutes (limit %(limit)s).",
"%(count)s requests were answered with an error within ten minutes (limit %(limit)s).",
"count",
),
            _("Look into web.log: each has a request number and a trace."),
            "operations:status", calm_s=300,
        ),
        Kind(
            "sends_failing", BAD, _("Sending fails"),
            ngettext_lazy(
"%(count)s task could not be handed over within ten minutes (limit %(limit)s).",
"%(count)s tasks could not be handed over within ten minutes (limit %(limit)s).",
"count",
),
            _("Tasks are tried again by themselves. Pause the broadcasts if WeCom refuses on purpose."),
            "campaigns:broadcasts", calm_s=300,
        ),
        Kind(
            "wecom_refused", BAD, _("WeCom refuses the app"),
            _("WeCom answered %(subject)s: secret, permission or trusted address of the app are not right."),
            _("Somebody has to change a setting in the WeCom admin console, or the secret here."),
            calm_s=600,
        ),
        Kind(
            "disk_low", WARN, _("Disk filling up"),
            _("Only %(percent)s%% (%(free)s) of the disk of “%(subject)s” are free (limit %(limit)s%%)."),
            _("Free some space, or move backups and archive to another disk."),
            "operations:backups", calm_s=300,
        ),
        Kind(
            "disk_full", BAD, _("Disk full"),
            _("Only %(free)s are free on the disk of “%(subject)s”: writing will fail soon."),
            _("Free space now. What was acknowledged is safe; what comes in is refused while nothing can be written."),
            "operations:backups", calm_s=300,
        ),
        Kind(
            "backup_old", BAD, _("Backup too old"),
            _("The newest backup is %(hours)s hours old (limit %(limit)s)."),
            _("Look at the last backup job, or start one on the page Backups."),
            "operations:backups",
        ),
        Kind(
            "backup_missing", BAD, _("No backup"),
            _("There is no backup of this installation."),
            _("Start one on the page Backups, and export the keys with `hetang keys`."),
            "operations:backups",
        ),
        Kind(
            "archive_behind", BAD, _("Archive behind"),
            _("PostgreSQL has not been able to write its log into the archive for %(minutes)s minutes."),
            _("Look at the archive's disk and rights: until it works, the log fills the disk of the data."),
            "operations:backups", patience_s=120,
        ),
        Kind(
            "certificate", WARN, _("Certificate expiring"),
            ngettext_lazy(
"The certificate of %(subject)s expires in %(days)s day.",
"The certificate of %(subject)s expires in %(days)s days.",
"days",
),
            _("Renew it: customers' phones refuse the page once it is over."),
        ),
        Kind(
            "certificate_over", BAD, _("Certificate over"),
            _("The certificate of %(subject)s is over."),
            _("Renew it now: customers' phones refuse the page."),
        ),
        Kind(
            "api_key", WARN, _("API key expiring"),
            ngettext_lazy(
"The API key “%(name)s” (%(subject)s…) expires in %(days)s day.",
"The API key “%(name)s” (%(subject)s…) expires in %(days)s days.",
"days",
),
            _("Make a new key, give it to the system that uses this one, then revoke this one."),
            "settings:keys",
        ),
        Kind(
            "api_key_over", BAD, _("API key over"),
            _("The API key “%(name)s” (%(subject)s…) is over, and its system used it until lately: it is refused now."),
            _("Make a new key and give it to that system; revoke this one, which ends the alert."),
            "settings:keys",
        ),
        Kind(
            "database_busy", BAD, _("Connections running out"),
            _("%(used)s of %(limit)s connections of the database are in use."),
            _("See which program holds them; Hetang itself needs about thirty."),
            "operations:status", patience_s=60,
        ),
        Kind(
            "long_transaction", WARN, _("Long transaction"),
            _("A transaction has been open for %(minutes)s minutes: every data stream waits for it."),
            _("End it if nobody needs it; PostgreSQL's pg_stat_activity names the program."),
            "operations:status", patience_s=60,
        ),
        Kind(
            "clock_wrong", BAD, _("Clocks differ"),
            _("The clock of the database differs from that of this machine by %(seconds)s seconds."),
            _("Let both follow a time server (chrony, systemd-timesyncd)."),
            patience_s=60,
        ),
        Kind(
            "clock_jumped", WARN, _("Clock jumped"),
            _("The clock of this machine jumped by %(seconds)s seconds."),
            _("See whether its time is right now and whether a time server is followed. Times of records may be off."),
        ),
        Kind(
            TEST, WARN, _("Test"),
            _("This is a test: notices of this installation arrive here."),
            _("Nothing is to be done."),
        ),
    )
}  # fmt: skip


_PLACES: dict[str, Text] = {"home": _("data"), "backups": _("backups"), "archive": _("archive")}


@dataclass(frozen=True)
class Said:
    """An alert in words of the current language."""

    label: str
    sentence: str
    advice: str


def said(kind: str, subject: str, detail: dict[str, Any]) -> Said:
    """What an alert says in the current language; a kind of an earlier version is shown by its code."""
    known = KINDS.get(kind)
    if known is None:
        return Said(kind, subject, "")
    values = {"subject": str(_PLACES.get(subject, subject)), **detail}
    title = str(values.get("title", ""))
    if title:  # of a job that starts by itself: our own words
        values["title"] = gettext(title)
    try:
        sentence = str(known.sentence % values)
    except (KeyError, ValueError, TypeError):  # noted by another version, with other details
        sentence = f"{known.label}: {subject}" if subject else str(known.label)
    return Said(str(known.label), sentence, str(known.advice))


def severity_label(severity: str) -> str:
    """A severity in the current language."""
    return gettext("Urgent") if severity == BAD else gettext("Warning")
