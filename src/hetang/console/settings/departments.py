"""Departments of WeCom and the stores that they are: which ones nobody could match, and the repair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET

from hetang.connectors.wecom.accounts import places, services
from hetang.connectors.wecom.accounts.places import Suggestion
from hetang.connectors.wecom.accounts.rules import Tree
from hetang.connectors.wecom.models import Corp, Department
from hetang.console.paging import keyset
from hetang.console.settings.tabs import tabs
from hetang.platform.access import actor_of, needs
from hetang.resources.models import Store

BY_NAME, STORE, NONE = "name", "store", "none"
_OFFERED = 200  # stores that are offered while typing; any may be typed


class StoreForm(forms.Form):
    """Which store a department is."""

    what = forms.ChoiceField(
        label=gettext_lazy("This department is"),
        choices=[
            (BY_NAME, gettext_lazy("what its name says")),
            (STORE, gettext_lazy("this store")),
            (NONE, pgettext_lazy("department", "no store")),
        ],
        widget=forms.RadioSelect,
    )
    store = forms.CharField(
        label=gettext_lazy("Store"),
        required=False,
        max_length=120,
        widget=forms.TextInput(attrs={"list": "stores", "autocomplete": "off"}),
        help_text=gettext_lazy("Its code, or its name."),
    )

    def clean(self) -> dict[str, Any]:
        """The store that is meant, found by code or by a name that only one has."""
        said = super().clean() or {}
        if said.get("what") != STORE:
            return said | {"found": None}
        wanted = str(said.get("store", "")).strip()
        found = list(Store.objects.filter(code=wanted)) or list(Store.objects.filter(name=wanted)[:2])
        if len(found) > 1:
            self.add_error("store", _("Several stores are called so. Give the store's code."))
        elif not found:
            self.add_error("store", _("No store has this code or name. Stores come with the import of stores."))
        return said | {"found": found[0] if len(found) == 1 else None}


@dataclass(frozen=True)
class Line:
    """A department as it is drawn."""

    row: Department
    above: str
    store: str
    how: str  # name, hand, none, above, or empty for nobody knows
    members: int
    suggestion: Suggestion | None


@require_GET
@needs("settings:edit")
def department_list(request: HttpRequest) -> HttpResponse:
    """All departments, or those that nobody could match."""
    corp = _corp()
    tree = places.tree(corp) if corp else Tree({}, {})
    missing = services.unmatched(corp, tree) if corp else []
    only = request.GET.get("show") == "unmatched"
    rows: QuerySet[Department] = Department.objects.filter(corp=corp, gone_at=None)
    text = request.GET.get("q", "").strip()
    if text:
        rows = rows.filter(name__icontains=text)
    if only:
        rows = rows.filter(number__in=missing)
    page = keyset(rows, ("number",), request)
    values = {
        "corp": corp,
        "page": page,
        "lines": _lines(corp, list(page), tree, set(missing)) if corp else [],
        "unmatched": len(missing),
        "only": only,
        "q": text,
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/departments.html", values)


@needs("settings:edit")
def department_edit(request: HttpRequest, number: int) -> HttpResponse:
    """Say which store one department is."""
    row = get_object_or_404(
        Department.objects.select_related("store", "corp"), corp__is_default=True, number=number, gone_at=None
    )
    initial = {"what": _what(row), "store": row.store.code if row.store else ""}
    form = StoreForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        places.decide(actor_of(request), row, said["found"], decided=said["what"] != BY_NAME)
        services.settle_later(row.corp)
        messages.success(request, _("Saved. Its members work there now; their accounts follow in a moment."))
        return redirect("settings:departments")
    tree = places.tree(row.corp)
    values = {
        "form": form,
        "row": row,
        "line": _lines(row.corp, [row], tree, set())[0],
        "stores": Store.objects.order_by("name").values_list("code", "name")[:_OFFERED],
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/department.html", values, status=422 if form.errors else 200)


def _corp() -> Corp | None:
    return Corp.objects.filter(is_default=True).first()


def _what(row: Department) -> str:
    if not row.decided:
        return BY_NAME
    return STORE if row.store_id else NONE


def _lines(corp: Corp, rows: list[Department], tree: Tree, missing: set[int]) -> list[Line]:
    stores = {row.number: tree.store_of(row.number) for row in rows}
    names = dict(Store.objects.filter(code__in=set(stores.values())).values_list("code", "name"))
    near = places.suggestions([row.name for row in rows if row.number in missing])
    people = _members(corp, [row.number for row in rows])
    return [
        Line(
            row,
            " / ".join(tree.departments[at].name for at in reversed(tree.above(row.number)[1:])),
            names.get(stores[row.number], stores[row.number]),
            _how(row, tree),
            people.get(row.number, 0),
            near.get(row.name) if row.number in missing else None,
        )
        for row in rows
    ]


def _how(row: Department, tree: Tree) -> str:
    if row.decided:
        return "hand" if row.store_id else "none"
    if tree.own_store(row.number):
        return "name"
    return "above" if tree.store_of(row.number) else ""


def _members(corp: Corp, numbers: list[int]) -> dict[int, int]:
    """Active members of departments, those below not counted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select d, count(*) from wecom_member m, unnest(m.departments) d"
            " where m.corp_id = %s and m.status = 1 and d = any(%s) group by d",
            [corp.pk, numbers],
        )
        return dict(cursor.fetchall())
