"""Roles: the shipped ones, the brand's own, and what each may do."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.settings.tabs import tabs
from hetang.console.settings.users import REFUSALS
from hetang.platform import own_roles, users
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.models import Grant, OwnRole
from hetang.platform.own_roles import RoleRefused
from hetang.platform.roles import AREAS, PERMISSIONS, Permission, Role, roles
from hetang.platform.users import UserRefused

ROLE_REFUSALS: dict[str, str | Promise] = {
    "name_missing": gettext_lazy("Give the role a name."),
    "name_taken": gettext_lazy("There is a role with this name already."),
    "nothing_allowed": gettext_lazy("Tick at least one thing that the role may do."),
    "changed_meanwhile": gettext_lazy("Somebody has changed this role meanwhile. Look at it again, then change it."),
    "held": gettext_lazy("Somebody holds this role. Take it away from everybody before you delete it."),
}


class RoleForm(forms.Form):
    """A role of the brand's own."""

    name = forms.CharField(label=gettext_lazy("Name of the role"), max_length=40)
    description = forms.CharField(
        label=gettext_lazy("Who should hold it"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("One sentence. It helps whoever gives roles."),
    )
    permissions = forms.MultipleChoiceField(
        choices=[(code, one.label) for code, one in PERMISSIONS.items()], required=False
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)


@require_GET
@needs("users:view")
def role_list(request: HttpRequest) -> HttpResponse:
    """All roles side by side, and how many people hold each."""
    actor = actor_of(request)
    known = list(roles().values())
    held = dict(Grant.objects.values_list("role").annotate(n=Count("user", distinct=True)))
    values = {
        "roles": [(role, held.get(role.code, 0)) for role in known],
        "areas": [
            (label, [(one, [one.code in role.permissions for role in known]) for one in of_area(area)])
            for area, label in AREAS.items()
        ],
        "can_make": _can_make(actor),
        "tabs": tabs("roles", actor),
    }
    return render(request, "console/settings/roles.html", values)


@require_GET
@needs("users:view")
def role_detail(request: HttpRequest, code: str) -> HttpResponse:
    """What one role may do, and who holds it."""
    actor = actor_of(request)
    role = _role_or_404(code)
    holders = users.seen_by(actor).filter(grants__role=code).distinct().order_by("username")[:200]
    values = {
        "role": role,
        "areas": [
            (label, [one for one in of_area(area) if one.code in role.permissions]) for area, label in AREAS.items()
        ],
        "holders": holders,
        "can_make": _can_make(actor),
    }
    return render(request, "console/settings/role.html", values)


@needs("users:manage")
def role_new(request: HttpRequest) -> HttpResponse:
    """Make a role, perhaps from another one (`?copy=`)."""
    own_roles.authorise(actor_of(request))
    source = roles().get(request.GET.get("copy", ""))
    initial: dict[str, Any] = {}
    if source is not None:
        initial = {
            "name": _("%(role)s (copy)") % {"role": source.label},
            "description": source.meant_for,
            "permissions": list(source.permissions),
        }
    form = RoleForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            row = own_roles.create(actor_of(request), *_values(form))
        except RoleRefused as refused:
            form.add_error(None, str(ROLE_REFUSALS[refused.code]))
        else:
            messages.success(request, _("Saved. Give it to people on their own page."))
            return redirect("settings:role", row.code)
    return _form(request, form, None)


@needs("users:manage")
def role_edit(request: HttpRequest, code: str) -> HttpResponse:
    """Change a role of the brand's own."""
    own_roles.authorise(actor_of(request))
    row = get_object_or_404(OwnRole, code=code)
    initial = {name: getattr(row, name) for name in ("name", "description", "permissions", "version")}
    form = RoleForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        row.version = form.cleaned_data["version"] or 0
        try:
            own_roles.change(actor_of(request), row, *_values(form))
        except RoleRefused as refused:
            form.add_error(None, str(ROLE_REFUSALS[refused.code]))
        except UserRefused as refused:
            form.add_error(None, str(REFUSALS[refused.code]))
        else:
            messages.success(request, _("Saved. It holds from everybody's next click on."))
            return redirect("settings:role", code)
    return _form(request, form, row)


@require_POST
@needs("users:manage")
def role_delete(request: HttpRequest, code: str) -> HttpResponse:
    """Delete a role that nobody holds."""
    row = get_object_or_404(OwnRole, code=code)
    try:
        own_roles.delete(actor_of(request), row)
    except RoleRefused as refused:
        messages.error(request, str(ROLE_REFUSALS[refused.code]))
        return redirect("settings:role", code)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": row.name})
    return redirect("settings:roles")


def of_area(area: str) -> list[Permission]:
    """The permissions of one area, in the order of their declaration."""
    return [one for one in PERMISSIONS.values() if one.area == area]


def _values(form: RoleForm) -> tuple[str, str, list[str]]:
    values = form.cleaned_data
    return values["name"], values["description"], values["permissions"]


def _form(request: HttpRequest, form: RoleForm, row: OwnRole | None) -> HttpResponse:
    ticked = set(form["permissions"].value() or [])
    areas = [(label, [(one, one.code in ticked) for one in of_area(area)]) for area, label in AREAS.items()]
    values = {"form": form, "areas": areas, "role": row}
    return render(request, "console/settings/role_form.html", values, status=422 if form.errors else 200)


def _role_or_404(code: str) -> Role:
    role = roles().get(code)
    if role is None:
        raise Http404
    return role


def _can_make(actor: Actor) -> bool:
    """Roles hold for everybody, so only who manages users for the whole brand makes them."""
    return actor.scope("users:manage").everything
