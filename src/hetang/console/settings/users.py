"""Users and their grants."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from hetang.console.paging import keyset
from hetang.console.settings.tabs import tabs
from hetang.platform import audit, clock
from hetang.platform.access import HEADQUARTERS, ROLES, actor_of, needs
from hetang.platform.models import Grant, OrgNode, User


class GrantForm(forms.Form):
    """A role at a place of the organisation."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=[(role.code, role.label) for role in ROLES.values()])
    org_node = forms.ModelChoiceField(
        label=gettext_lazy("Where"),
        queryset=OrgNode.objects.order_by("path"),
        help_text=gettext_lazy("It holds for this place and everything below."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["org_node"].label_from_instance = _node_label  # type: ignore[attr-defined]


class UserForm(GrantForm):
    """A new user with a first grant."""

    username = forms.CharField(label=gettext_lazy("User name"), max_length=80)
    display_name = forms.CharField(label=gettext_lazy("Display name"), max_length=80, required=False)
    password = forms.CharField(
        label=gettext_lazy("Password"),
        min_length=10,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("At least 10 characters."),
    )
    field_order = ("username", "display_name", "password", "role", "org_node")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"].strip()
        if User.objects.filter(username=name).exists():
            raise ValidationError(_("This user name is taken. Choose another."))
        return name


@needs("settings:edit")
def user_list(request: HttpRequest) -> HttpResponse:
    """Everybody who may log in, with her grants."""
    page = keyset(User.objects.prefetch_related("grants__org_node"), ("id",), request)
    rows = [(user, [_grant_label(grant) for grant in user.grants.all()]) for user in page]
    return render(request, "console/settings/users.html", {"page": page, "rows": rows, "tabs": tabs("users")})


@needs("settings:edit")
def user_new(request: HttpRequest) -> HttpResponse:
    """Make a user."""
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = _create(request, form.cleaned_data)
        messages.success(request, _("%(name)s can log in now.") % {"name": user.username})
        return redirect("settings:user", user.pk)
    status = 422 if form.errors else 200
    return render(request, "console/settings/user_new.html", {"form": form}, status=status)


@needs("settings:edit")
def user_detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """One user: grants, and the switch."""
    user = get_object_or_404(User, pk=user_id)
    grants = [(grant, _grant_label(grant)) for grant in user.grants.select_related("org_node").order_by("id")]
    values = {"person": user, "grants": grants, "form": GrantForm(), "itself": user.pk == request.user.pk}
    return render(request, "console/settings/user.html", values)


@require_POST
@needs("settings:edit")
def set_active(request: HttpRequest, user_id: int) -> HttpResponse:
    """Switch a user on or off; nobody can lock herself out."""
    user = get_object_or_404(User, pk=user_id)
    active = request.POST.get("active") == "1"
    if user.pk == request.user.pk:
        messages.error(request, _("You cannot switch yourself off."))
    else:
        with transaction.atomic():
            if User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
                audit.record(actor_of(request), "user.switched", "user", user.pk, {"active": [not active, active]})
        messages.success(request, _("Saved."))
    return redirect("settings:user", user_id)


@require_POST
@needs("settings:edit")
def grant_add(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give a user a role somewhere."""
    user = get_object_or_404(User, pk=user_id)
    form = GrantForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a role and a place."))
        return redirect("settings:user", user_id)
    with transaction.atomic():
        role, node = form.cleaned_data["role"], form.cleaned_data["org_node"]
        grant, made = Grant.objects.get_or_create(user=user, role=role, org_node=node)
        if made:
            changes = {"role": grant.role, "org_node": node.code}
            audit.record(actor_of(request), "grant.added", "user", user.pk, changes, org_node_id=node.pk)
    messages.success(request, _("Saved."))
    return redirect("settings:user", user_id)


@require_POST
@needs("settings:edit")
def grant_remove(request: HttpRequest, user_id: int, grant_id: int) -> HttpResponse:
    """Take a role away; one's own last way into the settings stays."""
    grant = get_object_or_404(Grant.objects.select_related("org_node"), pk=grant_id, user_id=user_id)
    if user_id == request.user.pk and grant.role == HEADQUARTERS:
        messages.error(request, _("You cannot take your own headquarters role away. Ask a colleague."))
        return redirect("settings:user", user_id)
    with transaction.atomic():
        changes = {"role": grant.role, "org_node": grant.org_node.code}
        audit.record(actor_of(request), "grant.removed", "user", user_id, changes, org_node_id=grant.org_node_id)
        grant.delete()
    messages.success(request, _("Saved."))
    return redirect("settings:user", user_id)


@transaction.atomic
def _create(request: HttpRequest, values: dict[str, str | OrgNode]) -> User:
    user = User.objects.create_user(
        str(values["username"]),
        str(values["password"]),
        display_name=values["display_name"],
        created_at=clock.now(),
    )
    node = values["org_node"]
    assert isinstance(node, OrgNode)  # noqa: S101 - the form's field makes it so
    Grant.objects.create(user=user, role=str(values["role"]), org_node=node)
    changes = {"username": user.username, "role": values["role"], "org_node": node.code}
    audit.record(actor_of(request), "user.created", "user", user.pk, changes, org_node_id=node.pk)
    return user


def _grant_label(grant: Grant) -> str:
    role = ROLES.get(grant.role)
    return f"{role.label if role else grant.role} · {_node_label(grant.org_node)}"


def _node_label(node: OrgNode) -> str:
    depth = node.path.count(".") - 1
    return f"{' ' * 3 * depth}{node.name or _('Whole brand')}"
