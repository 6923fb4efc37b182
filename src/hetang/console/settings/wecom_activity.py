"""What came in from WeCom and what did not: syncs with what they skipped, events that wait, notices, tags on their
way."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from hetang.connectors.wecom import callbacks, tagging
from hetang.connectors.wecom.models import CallbackMessage, CorpNotice, Skipped, SyncRun
from hetang.console.paging import capped_count
from hetang.console.settings.tabs import tabs
from hetang.platform import audit
from hetang.platform.access import actor_of, needs

SHOWN = 500
AGAIN_AT_ONCE = 1000

REASONS: dict[str, str | Promise] = {
    "no_customer_contact": gettext_lazy("has not the customer contact function: give it to her in WeCom's console"),
    "unknown_member": gettext_lazy("is no member any more"),
    "out_of_range": gettext_lazy("is not visible to the app: add her to its range"),
    "not_activated": gettext_lazy("has never logged in to WeCom"),
    "not_real_named": gettext_lazy("has not proved her name to WeCom"),
    "no_licence": gettext_lazy("has no interface licence"),
    "group_gone": gettext_lazy("is no more"),
    "not_a_customer_group": gettext_lazy("is no group of customers"),
    "refused": gettext_lazy("WeCom does not tell"),
}
KINDS: dict[str, str | Promise] = {
    "member": gettext_lazy("Member of staff"),
    "customer": gettext_lazy("Customer"),
    "group": gettext_lazy("Group chat"),
    "tag": gettext_lazy("Tag"),
}
NOTICES: dict[str, str | Promise] = {
    "customer_acquisition.balance_low": gettext_lazy("Fewer than 20 customers are left in the quota of links"),
    "customer_acquisition.balance_exhausted": gettext_lazy("The quota of acquisition links is used up"),
    "customer_acquisition.balance_increased": gettext_lazy("There is quota for acquisition links again"),
    "customer_acquisition.quota_expire_soon": gettext_lazy("Quota of acquisition links ends soon"),
    "customer_acquisition.link_unavailable": gettext_lazy("An acquisition link cannot be used any more"),
    "customer_acquisition.delete_link": gettext_lazy("An acquisition link was deleted in WeCom"),
    "change_external_contact.transfer_fail": gettext_lazy("A customer was not handed over"),
    "change_external_contact.msg_audit_approved": gettext_lazy("A customer agreed to the chat archive"),
}
_STATES = {
    SyncRun.RUNNING: (gettext_lazy("Running"), "info"),
    SyncRun.DONE: (gettext_lazy("Done"), "good"),
    SyncRun.CANCELLED: (gettext_lazy("Cancelled"), ""),
    SyncRun.FAILED: (gettext_lazy("Failed"), "bad"),
}


@require_GET
@needs("settings:edit")
def activity(request: HttpRequest) -> HttpResponse:
    """The newest of everything; the whole list of what was skipped is a file."""
    runs = list(SyncRun.objects.order_by("-id")[:10])
    skipped = dict(
        Skipped.objects.filter(run__in=runs).values_list("run").annotate(n=Count("id")).values_list("run", "n")
    )
    newest = runs[0] if runs else None
    waiting = CallbackMessage.objects.filter(state=CallbackMessage.WAITING)
    failed = CallbackMessage.objects.filter(state=CallbackMessage.FAILED)
    values = {
        "runs": [(run, *_STATES[run.state], skipped.get(run.pk, 0)) for run in runs],
        "newest": newest,
        "skipped": [
            (KINDS.get(one.kind, one.kind), one, REASONS.get(one.reason, one.reason))
            for one in (newest.skipped.order_by("kind", "name")[:SHOWN] if newest else [])
        ],
        "skipped_more": max(0, skipped.get(newest.pk, 0) - SHOWN) if newest else 0,
        "waiting": capped_count(waiting),
        "failed": capped_count(failed),
        "failures": failed.order_by("-id")[:20],
        "marks": tagging.waiting(),
        "notices": [(NOTICES.get(one.kind, one.kind), one) for one in CorpNotice.objects.order_by("-at")[:20]],
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/wecom_activity.html", values)


@require_POST
@needs("settings:edit")
def apply_again(request: HttpRequest) -> HttpResponse:
    """Let the events that failed be applied once more: facts count once, so it does no harm."""
    ids = list(
        CallbackMessage.objects.filter(state=CallbackMessage.FAILED)
        .order_by("id")
        .values_list("pk", flat=True)[:AGAIN_AT_ONCE]
    )
    with transaction.atomic():
        count = callbacks.apply_again(ids)
        audit.record(actor_of(request), "wecom.applied_again", "wecom", "", {"events": count})
    messages.success(
        request, ngettext("%(n)s event is applied again.", "%(n)s events are applied again.", count) % {"n": count}
    )
    return redirect("settings:wecom-activity")
