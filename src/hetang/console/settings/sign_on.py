"""Logging in by WeCom: the switch, which roles members get, and who can still come in without WeCom."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from hetang.connectors.wecom.accounts import places, services
from hetang.connectors.wecom.accounts.services import RuleRefused, Said
from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.models import App, Department, RoleRule
from hetang.console.forms import LongSelect
from hetang.console.settings.tabs import tabs
from hetang.console.settings.users import offer_places, place_name
from hetang.platform import users
from hetang.platform.access import actor_of, needs
from hetang.platform.models import OrgNode, User
from hetang.platform.roles import ADVISER, roles

MEMBERS: dict[str, str | Promise] = {
    RoleRule.ALL: gettext_lazy("everybody"),
    RoleRule.LEADERS: gettext_lazy("whoever leads it"),
    RoleRule.OTHERS: gettext_lazy("all but whoever leads it"),
}
REFUSALS: dict[str, str | Promise] = {
    "role_unknown": gettext_lazy("This role does not exist any more. Choose another."),
    "by_hand_only": gettext_lazy(
        "Roles that manage users or keys are given by hand only: whoever keeps WeCom's address book must not be able to"
        " make herself an administrator here."
    ),
    "department_unknown": gettext_lazy("No department of WeCom has this number. Bring in staff first."),
    "twice": gettext_lazy("There is such a rule already."),
}


class RuleForm(forms.Form):
    """Who gets which role, and where."""

    department = forms.ChoiceField(
        label=gettext_lazy("Members of"),
        widget=LongSelect(),
        help_text=gettext_lazy("And of the departments below it."),
    )
    members = forms.ChoiceField(label=gettext_lazy("Of them"), choices=list(MEMBERS.items()))
    role = forms.ChoiceField(label=gettext_lazy("Role"))
    org_node = forms.ModelChoiceField(
        label=gettext_lazy("Where"),
        queryset=OrgNode.objects.none(),
        required=False,
        widget=LongSelect(),
        empty_label=gettext_lazy("at the department's store"),
    )

    def __init__(self, *args: Any, departments: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        department: Any = self.fields["department"]
        department.choices = [("0", _("every department that is a store")), *departments]
        role: Any = self.fields["role"]
        role.choices = [
            (one.code, one.label) for one in roles().values() if not one.permissions & services.BY_HAND_ONLY
        ]
        offer_places(self.fields["org_node"], OrgNode.objects.all())


@needs("users:manage", whole_brand=True)
def sign_on(request: HttpRequest) -> HttpResponse:
    """The switch and the rules; a POST adds a rule."""
    actor, app = actor_of(request), connected_app()
    departments = _departments(app) if app else []
    form = RuleForm(request.POST or None, departments=departments, initial={"role": ADVISER})
    if request.method == "POST" and app is not None and form.is_valid():
        said = form.cleaned_data
        try:
            services.add_rule(
                actor, app.corp, Said(int(said["department"]), said["members"], said["role"], said["org_node"])
            )
        except RuleRefused as refused:
            form.add_error(None, str(REFUSALS[refused.code]))
        else:
            messages.success(request, _("Saved. Accounts of members follow in a moment."))
            return redirect("settings:sign-on")
    tree = places.tree(app.corp) if app else None
    values = {
        "app": app,
        "form": form,
        "rules": _rules(app, dict(departments)) if app else [],
        "unmatched": len(services.unmatched(app.corp, tree)) if app and tree else 0,
        "signing_on": User.objects.filter(signed_on_at__isnull=False, is_active=True).count(),
        "locked": User.objects.filter(locked_for__startswith="wecom").order_by("username")[:50],
        "local": list(users.local_administrators()[:5]),
        "address": request.build_absolute_uri(reverse("console:login-wecom")),
        "tabs": tabs("sign-on", actor),
    }
    return render(request, "console/settings/sign_on.html", values, status=422 if form.errors else 200)


@require_POST
@needs("users:manage", whole_brand=True)
def switch(request: HttpRequest) -> HttpResponse:
    """Let members sign on, or no more."""
    app = connected_app()
    if app is None:
        raise Http404
    services.switch(actor_of(request), app, request.POST.get("on") == "1")
    messages.success(request, _("Saved."))
    return redirect("settings:sign-on")


@require_POST
@needs("users:manage", whole_brand=True)
def rule_move(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Earlier or later in the order."""
    row = get_object_or_404(RoleRule.objects.select_related("corp", "org_node"), pk=rule_id)
    services.move_rule(actor_of(request), row, up=request.POST.get("to") == "up")
    messages.success(request, _("Moved. Accounts of members follow in a moment."))
    return redirect("settings:sign-on")


@require_POST
@needs("users:manage", whole_brand=True)
def rule_remove(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Take a rule away."""
    row = get_object_or_404(RoleRule.objects.select_related("corp", "org_node"), pk=rule_id)
    services.remove_rule(actor_of(request), row)
    messages.success(request, _("Removed. Accounts of members follow in a moment."))
    return redirect("settings:sign-on")


def _departments(app: App) -> list[tuple[int, str]]:
    rows = Department.objects.filter(corp=app.corp, gone_at=None).order_by("number")
    return [(number, f"{name} ({number})") for number, name in rows.values_list("number", "name")]


def _rules(app: App, departments: dict[int, str]) -> list[dict[str, Any]]:
    known = roles()
    return [
        {
            "pk": row.pk,
            "department": departments.get(row.department, "") or (str(row.department) if row.department else ""),
            "members": MEMBERS[row.members],
            "role": known[row.role].label if row.role in known else _("Deleted role"),
            "place": place_name(row.org_node) if row.org_node else "",
        }
        for row in RoleRule.objects.select_related("org_node").filter(corp=app.corp).order_by("position", "id")
    ]
