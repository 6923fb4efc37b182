"""Views of the import pages. All need `imports:run`; each write leaves an audit row."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages as flash
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.imports.forms import BasisForm, ConventionsForm, FileForm, FormatForm, mapping_from
from hetang.console.imports.tabs import tabs
from hetang.console.paging import keyset
from hetang.imports import mapping as mappings
from hetang.imports import messages, queries, rules, services
from hetang.imports.errors import ImportRefused
from hetang.imports.mapping import Mapping
from hetang.imports.models import Import, Preset
from hetang.imports.targets import CUSTOMERS, ORDERS, STORES, TARGETS, Target
from hetang.platform import audit
from hetang.platform.access import actor_of, needs
from hetang.platform.models import User

STATES: dict[str, tuple[str | Promise, str]] = {
    Import.DRAFT: (gettext_lazy("Columns to be mapped"), ""),
    Import.CHECKING: (gettext_lazy("Checking"), "info"),
    Import.CHECKED: (gettext_lazy("Checked"), "accent"),
    Import.RUNNING: (pgettext_lazy("import", "Importing"), "info"),
    Import.DONE: (pgettext_lazy("import", "Imported"), "good"),
    Import.FAILED: (pgettext_lazy("import", "Failed"), "bad"),
    Import.CANCELLED: (pgettext_lazy("import", "Cancelled"), "warn"),
}
STEPS = (
    gettext_lazy("Choose the file"),
    gettext_lazy("Map the columns"),
    gettext_lazy("Check"),
    gettext_lazy("Import"),
    gettext_lazy("Result"),
)
# What counts are called, in the order in which they are shown; money ones in minor units.
COUNTS: tuple[tuple[str, str | Promise, bool], ...] = (
    ("rows", gettext_lazy("Rows in the file"), False),
    ("rows_taken", gettext_lazy("Rows that can be used"), False),
    ("rows_refused", gettext_lazy("Rows refused"), False),
    ("rows_ignored", gettext_lazy("Rows without money or goods sold"), False),
    ("orders", gettext_lazy("Orders"), False),
    ("anonymous_orders", gettext_lazy("of these without a customer"), False),
    ("sales", gettext_lazy("Sales"), True),
    ("refunds", gettext_lazy("Refunds"), False),
    ("refunded", gettext_lazy("Amount refunded"), True),
    ("new", pgettext_lazy("import", "New records"), False),
    ("changed", pgettext_lazy("import", "Changed"), False),
    ("known", gettext_lazy("Already known"), False),
    ("held", gettext_lazy("Held for later"), False),
)
_CONSTANTS = {"channel", "store", "country", "datum"}  # fields that one value for the whole file makes sense of


@require_GET
@needs("imports:run")
def import_list(request: HttpRequest) -> HttpResponse:
    """All imports, newest first."""
    page = keyset(Import.objects.select_related("created_by"), ("-id",), request)
    for one in page:
        one.label, one.tone = STATES[one.state]  # type: ignore[attr-defined]
        one.target_label = messages.target_label(TARGETS[one.target])  # type: ignore[attr-defined]
    return render(request, "console/imports/list.html", {"page": page, "tabs": tabs("list")})


@needs("imports:run")
def new(request: HttpRequest) -> HttpResponse:
    """Choose what to import and the file."""
    form = FileForm(request.POST or None, request.FILES or None, initial={"target": request.GET.get("target")})
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("imports:mapping", _take(request, form.cleaned_data).public_id)
        except ImportRefused as refused:
            form.add_error(None, messages.refusal(refused.code, refused.parameters))
    values = {"form": form, "steps": STEPS, "kinds": [(name, *_needed(one)) for name, one in TARGETS.items()]}
    return render(request, "console/imports/new.html", values, status=422 if form.errors else 200)


def _needed(target: Target) -> tuple[str, str]:
    """What a kind of file is called, and the columns without which it cannot be taken."""
    required = [messages.field_label(target, field.name) for field in target.fields if field.required]
    any_of = [" / ".join(messages.field_label(target, name) for name in group[:3]) for group in target.needs_one_of]
    return messages.target_label(target), " · ".join([*required, *any_of])


def _take(request: HttpRequest, values: dict[str, Any]) -> Import:
    upload, by = values.get("file"), _user(request)
    if upload is not None:
        owner = services.upload(values["target"], upload.name or "file", upload.chunks(), by)
    else:
        owner = services.from_path(values["target"], values["path"], by)
    audit.record(
        actor_of(request), "import.created", "import", owner.public_id, {"file": owner.title, "target": owner.target}
    )
    return owner


@require_GET
@needs("imports:run")
def template(_request: HttpRequest, name: str) -> HttpResponse:
    """An empty file with the headings of a target, as spreadsheets open it; what it is filled with is recognised."""
    target = TARGETS.get(name)
    if target is None:
        raise Http404
    headings = ",".join(messages.field_label(target, field.name) for field in target.fields)
    answer = HttpResponse("\ufeff" + headings + "\r\n", content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


@needs("imports:run")
def edit_mapping(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say what the columns mean; saving starts the check."""
    owner = _import(public_id)
    current, error = mappings.decode(owner.mapping), ""
    if request.method == "POST":
        try:
            current = mapping_from(owner, request.POST, current)
            _save_and_check(request, owner, current)
            return redirect("imports:detail", public_id)
        except ImportRefused as refused:
            error = _said(owner, refused)
        except ValidationError as refused:
            error = " ".join(refused.messages)
    values = _mapping_page(owner, current) | {"error": error, "data": request.POST}
    return render(request, "console/imports/mapping.html", values, status=422 if error else 200)


@transaction.atomic
def _save_and_check(request: HttpRequest, owner: Import, chosen: Mapping) -> None:
    services.save_mapping(owner, chosen)
    services.start_check(owner, _user(request))
    changes = {"columns": chosen.columns, "source": chosen.source, "legal_basis": chosen.legal_basis.basis}
    audit.record(actor_of(request), "import.checked", "import", owner.public_id, changes)


def _mapping_page(owner: Import, current: Mapping) -> dict[str, Any]:
    target = TARGETS[owner.target]
    samples = {column["header"]: [value for value in column["samples"] if value] for column in owner.columns}
    header_of = {**current.columns}
    fields = [
        {
            "name": field.name,
            "label": messages.field_label(target, field.name),
            "required": field.required,
            "header": header_of.get(field.name, ""),
            "samples": samples.get(header_of.get(field.name, ""), []),
            "constant": current.constants.get(field.name, "") if field.name in _CONSTANTS else None,
        }
        for field in target.fields
    ]
    needed = {"datum"} if target.needs_datum(header_of) else set()
    in_use = [one for one in fields if one["header"] or one["required"] or one["constant"] or one["name"] in needed]
    groups = [[messages.field_label(target, name) for name in group] for group in target.needs_one_of]
    return {
        "owner": owner,
        "steps": STEPS,
        "fields": in_use,
        "more_fields": [one for one in fields if one not in in_use],
        "headers": [column["header"] for column in owner.columns],
        "one_of": [" / ".join(group) for group in groups],
        "extra": _extra_columns(owner, current),
        "conventions": ConventionsForm(initial=ConventionsForm.initial_of(current), target=owner.target),
        "basis": BasisForm(initial=BasisForm.initial_of(current.legal_basis)) if owner.target == CUSTOMERS else None,
        "format": _format_form(owner, current),
        "presets": queries.fitting_presets(owner),
        "target_label": messages.target_label(target),
    }


def _extra_columns(owner: Import, current: Mapping) -> list[dict[str, Any]]:
    """Columns that no field takes: customers may keep them as attributes."""
    if owner.target != CUSTOMERS:
        return []
    used, code_of = set(current.columns.values()), {header: code for code, header in current.attributes.items()}
    return [
        {
            "place": place,
            "header": column["header"],
            "samples": [value for value in column["samples"] if value],
            "code": code_of.get(column["header"], ""),
            "proposal": rules.attribute_code(column["header"]),
        }
        for place, column in enumerate(owner.columns)
        if column["header"] not in used
    ]


def _format_form(owner: Import, current: Mapping) -> FormatForm | None:
    if owner.form == "parquet":
        return None
    encoding = current.encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    initial = {"encoding": encoding, "delimiter": current.delimiter, "sheet": current.sheet}
    return FormatForm(owner=owner, initial=initial)


@require_POST
@needs("imports:run")
def choose_format(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Read the file again with another encoding, separator or sheet."""
    owner = _import(public_id)
    form = FormatForm(request.POST, owner=owner)
    if form.is_valid():
        _try(request, owner, lambda: services.choose_format(owner, **form.cleaned_data), "import.format_chosen")
    return redirect("imports:mapping", public_id)


@require_POST
@needs("imports:run")
def use_preset(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a saved mapping."""
    owner = _import(public_id)
    preset = get_object_or_404(Preset, public_id=_uuid(request.POST.get("preset", "")), target=owner.target)
    _try(request, owner, lambda: services.apply_preset(owner, preset), "import.preset_applied")
    return redirect("imports:mapping", public_id)


@require_POST
@needs("imports:run")
def save_preset(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Keep the mapping under a name."""
    owner = _import(public_id)
    name = request.POST.get("name", "")
    if _try(request, owner, lambda: services.save_preset(name, owner, _user(request)), "import.preset_saved"):
        flash.success(request, _("Saved. It is offered for the next file with the same columns."))
    return redirect("imports:detail", public_id)


@require_GET
@needs("imports:run")
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Where an import stands: progress, the check with its warnings, the result."""
    owner = _import(public_id)
    services.reconcile(owner)
    if owner.state == Import.DRAFT:
        return redirect("imports:mapping", public_id)
    return render(request, "console/imports/detail.html", _detail_page(owner))


def _detail_page(owner: Import) -> dict[str, Any]:
    finished = owner.state == Import.DONE
    shown = owner.result if finished else owner.check_result
    label, tone = STATES[owner.state]
    target = TARGETS[owner.target]
    return {
        "owner": owner,
        "steps": STEPS,
        "step": {Import.CHECKING: 3, Import.CHECKED: 3, Import.DONE: 5}.get(owner.state, 4),
        "state_label": label,
        "state_tone": tone,
        "target_label": messages.target_label(target),
        "job": {Import.CHECKING: owner.check_job, Import.RUNNING: owner.run_job}.get(owner.state),
        "counts": _counts(owner, shown.get("counts", {}), finished),
        "stage": "run" if finished else "check",
        "reasons": [
            (messages.problem(code, _Anything())[0], count) for code, count in shown.get("problem_counts", {}).items()
        ],
        "problems": [_shown_problem(owner, problem) for problem in owner.check_result.get("first_problems", [])],
        "warnings": [
            {"code": one["code"], "text": messages.warning(one["code"], one["parameters"])}
            for one in owner.check_result.get("warnings", [])
        ],
        "no_consent": owner.target == CUSTOMERS and mappings.decode(owner.mapping).legal_basis.basis == "unknown",
        "failure": messages.refusal(owner.failure["code"], owner.failure["parameters"]) if owner.failure else "",
        "period": _period(owner),
        "next_target": _next_target(owner) if finished else None,
        "continues": owner.chunks.exists() and not finished,
    }


def _period(owner: Import) -> list[datetime]:
    """From when to when the file's own times go; empty where it has none, and what is told counts from the upload."""
    if owner.target == CUSTOMERS and "updated_at" not in mappings.decode(owner.mapping).columns:
        return []
    times = (owner.check_result.get("first_at"), owner.check_result.get("last_at"))
    return [datetime.fromisoformat(at) for at in times if at] if times[0] != times[1] else []


def _next_target(owner: Import) -> dict[str, str] | None:
    """What usually is brought in next: customers after stores, orders after customers; nothing that is there."""
    name = {STORES: CUSTOMERS, CUSTOMERS: ORDERS}.get(owner.target)
    if name is None or Import.objects.filter(target=name, state=Import.DONE).exists():
        return None
    return {"name": name, "label": messages.target_label(TARGETS[name])}


class _Anything(dict[str, object]):
    """Parameters of a message that sums up many rows: each of them had its own."""

    def __missing__(self, _key: str) -> str:
        return "…"


def _counts(owner: Import, counts: dict[str, int], finished: bool) -> list[dict[str, Any]]:
    names = {"rows_taken": _("Rows imported")} if finished else {}
    hints = (
        {"new": _("profile, household members, tags and consent count separately")} if owner.target == CUSTOMERS else {}
    )
    return [
        {"label": names.get(code, label), "value": counts[code], "money": is_money, "hint": hints.get(code, "")}
        for code, label, is_money in COUNTS
        if code in counts and (counts[code] or code in {"rows", "rows_taken", "rows_refused"})
    ]


def _shown_problem(owner: Import, problem: dict[str, Any]) -> dict[str, Any]:
    reason, remedy = messages.problem(problem["code"], problem.get("detail", {}))
    label = messages.field_label(TARGETS[owner.target], problem["field"])
    return {**problem, "label": label, "reason": reason, "remedy": remedy}


@require_POST
@needs("imports:run")
def run(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Confirm the warnings that are ticked and start the import."""
    owner = _import(public_id)
    confirmed = request.POST.getlist("confirm")

    def start() -> None:
        services.confirm(owner, confirmed)
        services.start_run(owner, _user(request))

    _try(request, owner, start, "import.started", {"confirmed": confirmed})
    return redirect("imports:detail", public_id)


@require_GET
@needs("imports:run")
def presets(request: HttpRequest) -> HttpResponse:
    """Saved mappings."""
    rows = list(Preset.objects.select_related("created_by").order_by("name"))
    for preset in rows:
        preset.target_label = messages.target_label(TARGETS[preset.target])  # type: ignore[attr-defined]
    return render(request, "console/imports/presets.html", {"presets": rows, "tabs": tabs("presets")})


@require_POST
@needs("imports:run")
def delete_preset(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Forget a saved mapping."""
    preset = get_object_or_404(Preset, public_id=public_id)
    with transaction.atomic():
        audit.record(actor_of(request), "import.preset_deleted", "import_preset", public_id, {"name": preset.name})
        services.delete_preset(preset)
    flash.success(request, _("Deleted."))
    return redirect("imports:presets")


def _try(request: HttpRequest, owner: Import, step: Any, action: str, changes: dict[str, Any] | None = None) -> bool:
    """Do a step and its audit row together; a refusal becomes a message."""
    try:
        with transaction.atomic():
            step()
            audit.record(actor_of(request), action, "import", owner.public_id, changes)
    except ImportRefused as refused:
        flash.error(request, _said(owner, refused))
        return False
    return True


def _said(owner: Import, refused: ImportRefused) -> str:
    """A refusal with its fields called as the page calls them."""
    parameters = dict(refused.parameters)
    target = TARGETS[owner.target]
    if "field" in parameters:
        parameters["field"] = messages.field_label(target, str(parameters["field"]))
    if "fields" in parameters:
        names = str(parameters["fields"]).split(", ")
        parameters["fields"] = ", ".join(messages.field_label(target, name) for name in names)
    return messages.refusal(refused.code, parameters)


def _import(public_id: UUID) -> Import:
    rows = Import.objects.select_related("stored_file", "check_job", "run_job", "created_by")
    return get_object_or_404(rows, public_id=public_id)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def _user(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
