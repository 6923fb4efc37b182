"""The register of exports, and the way of one: what and what for, approval, the file, its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.console.days import iso_day
from hetang.console.exports import words
from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import Count
from hetang.platform import approvals, clock
from hetang.platform.access import Actor, actor_of, signed_in
from hetang.platform.approvals import ApprovalRefused
from hetang.privacy import exports, limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import PURPOSES, About, ExportKind
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import Export

_COUNTED = 10_000  # rows of an export are counted no further for its page
TABLE = Table(
    code="exports",
    label=gettext_lazy("Exports"),
    permission="privacy:view",
    url_name="exports:list",
    columns=(
        Column("number", gettext_lazy("Register number"), sort="id", fixed=True),
        Column("what", gettext_lazy("What is exported")),
        Column("purpose", gettext_lazy("Purpose")),
        Column("who", gettext_lazy("Who")),
        Column("asked", gettext_lazy("Asked for")),
        Column("rows", gettext_lazy("Rows"), css="n"),
        Column("state", gettext_lazy("State")),
        Column("expires", gettext_lazy("File until")),
        Column("downloads", gettext_lazy("Downloads"), css="n"),
    ),
    order=("-id",),
    key=("-id",),
    filters=("kind", "state", "purpose", "who", "from", "to"),
)


class PurposeForm(forms.Form):
    """What the file is for."""

    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"), choices=[("", "–"), *PURPOSES.items()])
    note = forms.CharField(
        label=gettext_lazy("In a few words"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Who gets the file, and what happens with it. Whoever approves it reads this."),
    )


@require_GET
@signed_in
def register(request: HttpRequest) -> HttpResponse:
    """Every export that the actor may see: her own, and all of her part for who sees the registers."""
    actor = actor_of(request)
    rows, problem = _chosen(request, exports.seen_by(actor).defer("people"))
    listing = read(TABLE, rows, request)
    for row in listing.page:
        _describe(row)
    values = {
        "listing": listing,
        "page": listing.page,
        "problem": problem,
        "filters": request.GET,
        "kinds": _choices({one.code: one.label for one in exports.kinds().values()}, request.GET.get("kind", "")),
        "states": _choices({code: label for code, (label, _t) in words.STATES.items()}, request.GET.get("state", "")),
        "purposes": _choices(PURPOSES, request.GET.get("purpose", "")),
        "sees_all": actor.can("privacy:view"),
    }
    return render(request, "console/exports/list.html", values)


@require_http_methods(["GET", "POST"])
@signed_in
def new(request: HttpRequest, code: str) -> HttpResponse:
    """What would be exported (the address says it), and the question what for."""
    kind = exports.kinds().get(code)
    if kind is None:
        raise Http404
    actor = actor_of(request)
    actor.require(kind.permission)
    form = PurposeForm(request.POST if request.method == "POST" else None)
    about: About | None
    problem = ""
    try:
        parameters = kind.choose(actor, request.GET.dict())
        if request.method == "POST" and form.is_valid():
            language = get_language() or "zh-hans"
            export = exports.ask(actor, kind, parameters, **form.cleaned_data, language=language)
            return redirect("exports:detail", export.public_id)
        about = kind.about(actor, parameters)
    except PrivacyRefused as refused:
        if refused.code == "thing_gone":
            raise Http404 from refused
        problem, about = refusal_text(refused), _about_or_none(actor, kind, parameters)
    limit = _limit(actor, kind)
    size = _size(about, limit) if about else None
    values = {
        "kind": kind,
        "about": about,
        "size": size,
        "form": form,
        "problem": problem,
        "limit": limit,
        "too_large": kind.personal and limit is not None and size is not None and size.value > limit,
        "days": limits.current().export_days,
    }
    return render(request, "console/exports/new.html", values, status=422 if problem or form.errors else 200)


@never_cache
@require_GET
@signed_in
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One entry: what, who, what for, how it stands; the link to the file for who asked for it."""
    actor = actor_of(request)
    export = _seen_or_404(actor, public_id)
    exports.settle(Export.objects.filter(pk=export.pk))
    export.refresh_from_db()
    _describe(export)
    approval = exports.approval_of(export)
    obstacle = exports.obstacle(export, approval) if export.state == Export.WAITING else ""
    mine = export.user_id is not None and export.user_id == actor.user_id
    kind = exports.kinds().get(export.kind)
    fetchable = mine and export.state == Export.READY and kind is not None and actor.can(kind.permission)
    values = {
        "export": export,
        "approval": approval,
        "obstacle": obstacle,
        "obstacle_text": words.OBSTACLES.get(obstacle, ""),
        "may_ask": mine and obstacle in {"needed", "refused", "changed", "too_many"},
        "may_make": mine and export.state == Export.WAITING and not obstacle,
        "mine": mine,
        "token": exports.token_for(actor, export) if fetchable else "",
        "may_delete": export.state == Export.READY
        and (mine or actor.own_scope("privacy:manage").covers(export.org_node.path)),
    }
    return render(request, "console/exports/detail.html", values)


@require_POST
@signed_in
def make(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Go on with an export that was approved."""
    return _step(request, public_id, exports.go_on, _("The file is being written."))


@require_POST
@signed_in
def ask_again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask for approval once more."""
    return _step(request, public_id, exports.ask_again, _("Asked. You find the answer here and on your home page."))


@require_POST
@signed_in
def withdraw(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take an export back that waits."""
    return _step(request, public_id, exports.withdraw, _("Taken back."))


@require_POST
@signed_in
def delete(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Delete a file before its time."""
    return _step(request, public_id, exports.delete, _("The file is deleted. The entry stays in the register."))


@never_cache
@require_GET
@signed_in
def download(request: HttpRequest, token: str) -> HttpResponse | StreamingHttpResponse:
    """The file of a link that the entry's page made for this person."""
    actor = actor_of(request)
    export = exports.by_token(actor, token)
    if export is None:
        raise Http404
    try:
        pieces = exports.hand_out(actor, export)
    except PrivacyRefused as refused:
        messages.error(request, refusal_text(refused))
        return redirect("exports:detail", export.public_id)
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{export.kind}-{export.number}.csv"'
    response["Content-Length"] = str(export.bytes)
    return response


def _step(request: HttpRequest, public_id: UUID, step: Callable[[Actor, Export], None], done: str) -> HttpResponse:
    actor = actor_of(request)
    export = _seen_or_404(actor, public_id)
    try:
        step(actor, export)
    except (PrivacyRefused, ApprovalRefused) as refused:
        messages.error(request, words.said(refused))
    else:
        messages.success(request, done)
    return redirect("exports:detail", public_id)


def _seen_or_404(actor: Actor, public_id: UUID) -> Export:
    rows = exports.seen_by(actor).select_related("org_node", "job", "file").defer("people")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _chosen(request: HttpRequest, rows: QuerySet[Export]) -> tuple[QuerySet[Export], str]:
    """The rows that the filters ask for, and what was wrong with them."""
    columns = {"kind": "kind", "state": "state", "purpose": "purpose", "who": "actor"}
    rows = rows.filter(**{column: request.GET[name] for name, column in columns.items() if request.GET.get(name)})
    try:
        if first := request.GET.get("from"):
            rows = rows.filter(asked_at__gte=_midnight(date.fromisoformat(iso_day(first))))
        if last := request.GET.get("to"):
            rows = rows.filter(asked_at__lt=_midnight(date.fromisoformat(iso_day(last)) + timedelta(days=1)))
    except ValueError:
        return rows.none(), _("Write days like 2026-11-26.")
    return rows, ""


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), clock.zone())


def _describe(export: Any) -> None:
    kind = exports.kinds().get(export.kind)
    export.kind_label = kind.label if kind else export.kind
    export.purpose_label = PURPOSES.get(export.purpose, export.purpose)
    export.state_label, export.state_tone = words.STATES[export.state]
    export.why_label = words.WHY.get(export.why, export.why)


def _about_or_none(actor: Actor, kind: ExportKind, parameters: dict[str, Any]) -> About | None:
    try:
        return kind.about(actor, parameters)
    except PrivacyRefused:
        return None


def _size(about: About, limit: int | None) -> Count:
    """How many rows, counted as far as a page needs: whoever decides about the file is told exactly."""
    most = max(_COUNTED, (limit or 0) + 1)
    found = about.rows_to(most + 1)
    return Count(min(found, most), found > most)


def _limit(actor: Actor, kind: ExportKind) -> int | None:
    """Up to how many rows the actor needs no approval; None: always without."""
    if not kind.approval:
        return None
    return approvals.free_up_to(actor, kind.approval, exports.place_of(actor, kind.permission))


def _choices(labels: dict[str, Any], current: str) -> list[tuple[str, Any, bool]]:
    return [(code, label, code == current) for code, label in labels.items()]
