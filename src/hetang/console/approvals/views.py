"""Approvals: what waits for me, what I asked for, what was decided; one of them, and the word that decides it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.console.approvals import words
from hetang.console.paging import keyset
from hetang.platform import approvals
from hetang.platform.access import Actor, actor_of, signed_in
from hetang.platform.approvals import KINDS, ApprovalRefused
from hetang.platform.models import Approval
from hetang.platform.roles import roles


@require_GET
@signed_in
def approval_list(request: HttpRequest) -> HttpResponse:
    """What waits for the actor, then everything that she may see, newest first."""
    actor = actor_of(request)
    page = keyset(approvals.seen_by(actor).defer("content"), ("-id",), request)
    values = {
        "waiting": [_row(one) for one in approvals.waiting_for(actor).defer("content").order_by("id")[:100]],
        "page": page,
        "rows": [_row(one) for one in page],
    }
    return render(request, "console/approvals/list.html", values)


@require_GET
@signed_in
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One approval: what exactly, how many, by which rule, who asked, who decided."""
    actor = actor_of(request)
    approval = _seen_or_404(actor, public_id)
    role = roles().get(approval.rule.get("role", ""))
    label, tone = words.state_of(approval)
    values = {
        "approval": approval,
        "kind": KINDS[approval.kind],
        "state": label,
        "tone": tone,
        "shown": words.shown(approval),
        "role": role.label if role else _("everybody else"),
        "may_decide": approvals.waiting_for(actor).filter(pk=approval.pk).exists(),
        "may_withdraw": approval.asked_by_id == actor.user_id and approval.state in approvals.ALIVE,
        "involved": actor.user_id in approval.involved and approval.state == Approval.OPEN,
    }
    return render(request, "console/approvals/detail.html", values)


@require_POST
@signed_in
def decide(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Approve or refuse what the page showed (its hash comes with the form)."""
    actor = actor_of(request)
    approval = _seen_or_404(actor, public_id)
    approval.content_hash = request.POST.get("content", "")
    approve = request.POST.get("decision") == "approve"
    try:
        approvals.decide(actor, approval, approve, request.POST.get("answer", ""))
    except ApprovalRefused as refused:
        messages.error(request, words.refusal(refused))
    else:
        done = _("Approved. Whoever asked sees it on her home page.") if approve else _("Refused, with your reason.")
        messages.success(request, done)
    return redirect("approvals:detail", public_id)


@require_POST
@signed_in
def withdraw(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take one's own question back."""
    approval = _seen_or_404(actor_of(request), public_id)
    try:
        approvals.withdraw(actor_of(request), approval)
    except ApprovalRefused as refused:
        messages.error(request, words.refusal(refused))
    else:
        messages.success(request, _("Taken back."))
    return redirect("approvals:detail", public_id)


def _seen_or_404(actor: Actor, public_id: UUID) -> Approval:
    found = approvals.seen_by(actor).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _row(approval: Approval) -> dict[str, Any]:
    label, tone = words.state_of(approval)
    return {"approval": approval, "kind": KINDS[approval.kind], "state": label, "tone": tone}
