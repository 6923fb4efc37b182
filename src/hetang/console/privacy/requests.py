"""What customers asked for, in the order in which it is due; answering; and the erasures with their proofs."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import keyset
from hetang.console.privacy.tabs import tabs
from hetang.console.privacy.words import ERASURES, KINDS, REASONS, STATES
from hetang.customers.models import Customer
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, needs
from hetang.privacy import answering, certificates, own_page
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import Erasure, PrivacyRequest

TABLE = Table(
    code="privacy-requests",
    label=gettext_lazy("Requests of customers"),
    permission="privacy:view",
    url_name="privacy:requests",
    columns=(
        Column("asked", gettext_lazy("Asked"), sort="id", fixed=True),
        Column("kind", pgettext_lazy("request", "What")),
        Column("by", gettext_lazy("Came by")),
        Column("due", gettext_lazy("Due")),
        Column("state", gettext_lazy("State")),
        Column("answered", gettext_lazy("Answered")),
    ),
    order=("-id",),
    key=("-id",),
    filters=("state", "kind"),
)


@require_GET
@needs("privacy:view")
def requests(request: HttpRequest) -> HttpResponse:
    """The register of requests."""
    rows = answering.seen_by(actor_of(request))
    for name in ("state", "kind"):
        if value := request.GET.get(name):
            rows = rows.filter(**{name: value})
    listing = read(TABLE, rows.defer("text"), request)
    now = clock.now()
    for row in listing.page:
        _describe(row)
        row.late = row.state == PrivacyRequest.OPEN and row.due_at < now  # type: ignore[attr-defined]
    values = {
        "listing": listing,
        "page": listing.page,
        "states": _choices({code: label for code, (label, _tone) in STATES.items()}, request.GET.get("state", "")),
        "kinds": _choices(KINDS, request.GET.get("kind", "")),
        "tabs": tabs("requests"),
    }
    return render(request, "console/privacy/requests.html", values)


@never_cache
@require_GET
@needs("privacy:view")
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One request in her words, and the answer."""
    actor = actor_of(request)
    found = _seen_or_404(actor, public_id)
    _describe(found)
    audit.look(actor, "look.request", "customer", found.customer_id_shown)
    values = {
        "request_": found,
        "text": own_page.text_of(found),
        "customer": Customer.objects.filter(pk=found.customer, erased_at=None).first(),
        "may_answer": actor.can("customers:erase") and found.state == PrivacyRequest.OPEN,
        "late": found.state == PrivacyRequest.OPEN and found.due_at < clock.now(),
    }
    return render(request, "console/privacy/request.html", values)


@require_POST
@needs("customers:erase")
def answer(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer it: done, or why not."""
    actor = actor_of(request)
    found = _seen_or_404(actor, public_id)
    done = request.POST.get("outcome") == "done"
    try:
        answering.answer(actor, found, done=done, text=request.POST.get("answer", ""))
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
    else:
        messages.success(request, _("Answered. She reads it on her page."))
    return redirect("privacy:request", public_id)


@require_POST
@needs("customers:erase")
def erase(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Erase who asked for it."""
    actor = actor_of(request)
    found = _seen_or_404(actor, public_id)
    try:
        ordered = answering.erase(actor, found, request.POST.get("answer", ""))
    except (PrivacyRefused, Customer.DoesNotExist) as refused:
        said = refusal_text(refused) if isinstance(refused, PrivacyRefused) else _("She is not there any more.")
        messages.error(request, said)
        return redirect("privacy:request", public_id)
    return redirect("privacy:erasure", ordered.public_id)


@require_GET
@needs("privacy:view")
def erasures(request: HttpRequest) -> HttpResponse:
    """Who was erased when, by opaque ids."""
    page = keyset(Erasure.objects.select_related("ordered_by").defer("sealed", "certificate"), ("-id",), request)
    values = {"page": page, "rows": [(one, *ERASURES[one.state]) for one in page], "tabs": tabs("erasures")}
    return render(request, "console/privacy/erasures.html", values)


@require_GET
@needs("privacy:view")
def erasure(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One erasure: how far it is, and its proof."""
    found = _erasure_or_404(public_id)
    label, tone = ERASURES[found.state]
    proof, short = found.certificate, "zh" if (get_language() or "").startswith("zh") else "en"
    values = {
        "erasure": found,
        "state": label,
        "tone": tone,
        "reason": REASONS.get(found.reason, found.reason),
        "proof": proof,
        "signed": certificates.signed(proof) if proof else False,
        "holdings": [
            (one[f"label_{short}"], one["removed"], one["left"], one[f"kept_{short}"]) for one in proof["holdings"]
        ]
        if proof
        else [],
    }
    return render(request, "console/privacy/erasure.html", values)


@require_POST
@needs("customers:erase")
def check(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Look again whether anything of her is left."""
    found = _erasure_or_404(public_id)
    if not found.certificate:
        raise Http404
    checked = certificates.check(found.certificate)
    audit.record(actor_of(request), "customer.erasure_checked", "customer", found.customer_id_shown)
    if checked.sound:
        messages.success(request, _("Checked: nothing of her is left, and the proof is as it was signed."))
    elif checked.away:
        messages.error(request, _("Some stores cannot be asked at the moment. Try again later."))
    else:
        messages.error(request, _("Something is left, or the proof was altered: tell whoever runs the server."))
    return redirect("privacy:erasure", public_id)


@require_GET
@needs("privacy:view")
def certificate(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The proof as JSON. It names nobody."""
    found = _erasure_or_404(public_id)
    if not found.certificate:
        raise Http404
    audit.record(actor_of(request), "customer.erasure_proof", "customer", found.customer_id_shown)
    response = HttpResponse(
        json.dumps(found.certificate, ensure_ascii=False, indent=1), content_type="application/json"
    )
    response["Content-Disposition"] = f'attachment; filename="erasure-{found.public_id}.json"'
    return response


def _erasure_or_404(public_id: UUID) -> Erasure:
    found = Erasure.objects.select_related("ordered_by", "job").filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _seen_or_404(actor: Actor, public_id: UUID) -> PrivacyRequest:
    rows = answering.seen_by(actor).select_related("noted_by", "answered_by", "erasure")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _describe(row: Any) -> None:
    row.kind_label = KINDS[row.kind]
    row.state_label, row.state_tone = STATES[row.state]
    row.by_label = _("her page") if row.came_by == "page" else _("staff")


def _choices(labels: dict[str, Any], current: str) -> list[tuple[str, Any, bool]]:
    return [(code, label, code == current) for code, label in labels.items()]
