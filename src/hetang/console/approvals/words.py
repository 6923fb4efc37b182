"""What approvals say to people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy

from hetang.console import figures
from hetang.platform import approvals, clock
from hetang.platform.approvals import ApprovalRefused
from hetang.platform.models import Approval
from hetang.privacy import exports

Text = str | Promise

STATES: dict[str, tuple[Text, str]] = {
    Approval.OPEN: (pgettext_lazy("approval", "Waiting"), "warn"),
    Approval.APPROVED: (pgettext_lazy("approval", "Approved"), "good"),
    Approval.REFUSED: (pgettext_lazy("approval", "Refused"), "bad"),
    Approval.WITHDRAWN: (pgettext_lazy("approval", "Taken back"), ""),
    Approval.VOID: (pgettext_lazy("approval", "Void: it was changed"), ""),
    Approval.EXPIRED: (pgettext_lazy("approval", "Too old"), ""),
    Approval.USED: (pgettext_lazy("approval", "Approved and done"), "good"),
}
REFUSALS: dict[str, Text] = {
    "own_request": gettext_lazy("Whoever made it or asked for it does not decide. Somebody else must."),
    "answer_missing": gettext_lazy("Say why you refuse it, so that it can be put right."),
    "over": gettext_lazy("It was decided, changed or taken back meanwhile. Look at it again."),
    "asked_already": gettext_lazy("It has been asked for already and waits for an answer."),
    "not_needed": gettext_lazy("It needs no approval any more. Go on with it."),
}
CLASSES: dict[str, Text] = {
    "marketing": gettext_lazy("Marketing"),
    "service": gettext_lazy("Service"),
    "transaction": gettext_lazy("Transaction"),
}


def refusal(refused: ApprovalRefused) -> str:
    """Why it cannot be so, in the current language."""
    return str(REFUSALS[refused.code])


def state_of(approval: Approval) -> tuple[Text, str]:
    """Label and tone of its state now: what nobody answered or used in time is too old."""
    late = approval.state in approvals.ALIVE and approval.expires_at <= clock.now()
    return STATES[Approval.EXPIRED if late else approval.state]


@dataclass(frozen=True)
class Shown:
    """An approval's content as people read it: where the thing is, label and value of each part, texts with what is
    attached to them."""

    address: str
    lines: list[tuple[str, Any]]
    texts: list[tuple[str, list[str]]] = field(default_factory=list)


def shown(approval: Approval) -> Shown:
    """What exactly was asked for, in the order in which one checks it."""
    return _SHOWN[approval.kind](approval)


def _broadcast(approval: Approval) -> Shown:
    content = approval.content
    slot = content["slot_at"]
    lines = [
        (_("Campaign"), content["campaign"]),
        (_("Audience"), content["audience"]),
        (_("Kind of message"), CLASSES.get(content["message_class"], content["message_class"])),
        (_("Leads to"), content["target_url"]),
        (_("When"), figures.moment(datetime.fromisoformat(slot)) if slot else _("As soon as it is confirmed")),
        (_("Control group (not sent)"), f"{content['control_bp'] / 100:g} %"),
    ]
    texts = [(variant.get("text", ""), _attached(variant)) for variant in content["variants"]]
    return Shown(reverse("campaigns:split", args=[approval.target_id]), lines, texts)


def _attached(variant: dict[str, Any]) -> list[str]:
    return [str(one.get("title") or one.get("name") or one["type"]) for one in variant.get("attachments", [])]


def _export(approval: Approval) -> Shown:
    content = approval.content
    kind = exports.kinds().get(content["kind"])
    lines: list[tuple[str, Any]] = [
        (pgettext("approval", "What"), kind.label if kind else content["kind"]),
        *[(label, value) for label, value in content["lines"]],
        (_("Purpose"), exports.PURPOSES.get(content["purpose"], content["purpose"])),
    ]
    return Shown(reverse("exports:detail", args=[approval.target_id]), lines)


def _bulk(approval: Approval) -> Shown:
    from hetang.console.customers import bulk

    content = approval.content
    until = content["until"]
    lines: list[tuple[str, Any]] = [(pgettext("approval", "What"), bulk.KINDS.get(content["kind"], content["kind"]))]
    if content["tag"]:
        lines.append((_("Tag"), content["tag_name"]))
    elif content["kind"] == "do_not_disturb":
        lines.append((_("Until"), figures.moment(datetime.fromisoformat(until)) if until else _("for ever")))
    lines += [(str(label), name) for label, name in bulk.filter_lines(content["filters"])]
    return Shown(reverse("customers:bulk", args=[approval.target_id]), lines)


# Each kind of `platform.approvals` says here how its content reads.
_SHOWN: dict[str, Callable[[Approval], Shown]] = {
    approvals.BROADCAST: _broadcast,
    approvals.BULK: _bulk,
    approvals.EXPORT: _export,
    approvals.AUDIT_EXPORT: _export,
    approvals.REGISTER_EXPORT: _export,
}
