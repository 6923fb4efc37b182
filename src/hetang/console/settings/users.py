"""Users and their roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console import login_limit
from hetang.console.forms import DayInput, LongSelect
from hetang.console.paging import keyset
from hetang.console.settings.tabs import tabs
from hetang.platform import clock, sessions, two_factor, users
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.models import Grant, OrgNode, User
from hetang.platform.passwords import Length
from hetang.platform.roles import Role, roles
from hetang.platform.users import UserRefused
from hetang.resources import logins
from hetang.resources.logins import LinkRefused
from hetang.resources.models import Staff

_IN = "\u3000"  # browsers would fold blanks at the beginning of an option
_NEAR = 200  # staff that are offered for a login; any account may be typed
REFUSALS: dict[str, str | Promise] = {
    "name_taken": gettext_lazy("This user name is taken. Choose another."),
    "name_unusable": gettext_lazy("A user name has 1 to 80 characters that can be printed."),
    "role_unknown": gettext_lazy("This role does not exist any more. Choose another."),
    "expiry_past": gettext_lazy("This day has passed. Choose a later one."),
    "staff_unknown": gettext_lazy(
        "Nobody has this WeCom account where you manage users. Look at its spelling, or bring staff in first."
    ),
    "staff_taken": gettext_lazy("This WeCom account belongs to another login. Untie it there first."),
    "herself": gettext_lazy("Nobody changes her own rights. Ask a colleague."),
    "last_administrator": gettext_lazy(
        "Nobody who logs in with a password would be left to manage users. Give one the administrator role first."
    ),
}


class GrantForm(forms.Form):
    """A role at a place of the organisation, perhaps for a time."""

    role = forms.ChoiceField(label=gettext_lazy("Role"))
    org_node = forms.ModelChoiceField(
        label=gettext_lazy("Where"),
        queryset=OrgNode.objects.none(),
        widget=LongSelect(),
        empty_label=gettext_lazy("Choose…"),
        help_text=gettext_lazy("It holds for this place and everything below."),
    )
    until = forms.DateField(
        label=gettext_lazy("Until (included)"),
        required=False,
        widget=DayInput(),
        help_text=gettext_lazy("Empty: without an end. For a stand-in, choose the last day."),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["role"]
        choice.choices = [(role.code, role.label) for role in roles().values()]
        offer_places(self.fields["org_node"], actor.scope(users.MANAGE).org_nodes())


class UserForm(GrantForm):
    """A new user with a first role."""

    username = forms.CharField(label=gettext_lazy("User name"), max_length=80)
    display_name = forms.CharField(label=gettext_lazy("Display name"), max_length=80, required=False)
    password = forms.CharField(
        label=gettext_lazy("First password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, actor=actor, **kwargs)
        must = _("She must choose her own when she logs in.")
        self.fields["password"].help_text = f"{Length().get_help_text()} {must}"

    field_order = ("username", "display_name", "password", "role", "org_node", "until")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"].strip()
        if User.objects.filter(username=name).exists():
            raise ValidationError(str(REFUSALS["name_taken"]))
        return name


@dataclass(frozen=True)
class Line:
    """A grant as it is drawn."""

    grant: Grant
    role: Role | None
    place: str
    ended: bool
    removable: bool = False


@require_GET
@needs("users:view")
def user_list(request: HttpRequest) -> HttpResponse:
    """Everybody who may log in, with her roles."""
    actor = actor_of(request)
    page = keyset(users.seen_by(actor).prefetch_related("grants__org_node"), ("id",), request)
    known = roles()
    rows = [(user, [_line(grant, known) for grant in user.grants.all()]) for user in page]
    values = {"page": page, "rows": rows, "tabs": tabs("users", actor)}
    return render(request, "console/settings/users.html", values)


@needs("users:manage")
def user_new(request: HttpRequest) -> HttpResponse:
    """Make a user."""
    actor = actor_of(request)
    form = UserForm(request.POST or None, actor=actor)
    if request.method == "POST" and form.is_valid():
        try:
            user = _create(actor, form.cleaned_data)
        except UserRefused as refused:
            form.add_error("password" if refused.code == "password_weak" else None, sentence(refused))
        else:
            messages.success(request, _("%(name)s can log in now.") % {"name": user.username})
            return redirect("settings:user", user.pk)
    status = 422 if form.errors else 200
    return render(request, "console/settings/user_new.html", {"form": form}, status=status)


@require_GET
@needs("users:view")
def user_detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """One user: her roles, and the switch."""
    actor = actor_of(request)
    user = seen_or_404(actor, user_id)
    known, manages = roles(), actor.scope(users.MANAGE)
    itself = user.pk == request.user.pk
    grants = [
        _line(grant, known, removable=not itself and not grant.by_rule and manages.covers(grant.org_node.path))
        for grant in user.grants.select_related("org_node", "granted_by").order_by("id")
    ]
    values = {
        "person": user,
        "grants": grants,
        "itself": itself,
        "two_factor": two_factor.is_on(user),
        "two_factor_required": two_factor.is_required(user),
        "open_sessions": sessions.of_user(user).count(),
        "locked_until": login_limit.locked_until(user.username),
        "may_change": not itself and users.may_manage(actor, user),
        "form": GrantForm(actor=actor) if actor.can(users.MANAGE) and not itself else None,
        "staff": logins.seen_by(actor).select_related("store").filter(user=user).first(),
        "tied": Staff.objects.filter(user=user).exists(),
        "near": _staff_near(actor, user) if users.may_manage(actor, user) else None,
    }
    return render(request, "console/settings/user.html", values)


@require_POST
@needs("users:manage")
def set_active(request: HttpRequest, user_id: int) -> HttpResponse:
    """Switch a user on or off; nobody can lock herself out."""
    user = seen_or_404(actor_of(request), user_id)
    return _do(request, user, lambda: users.set_active(actor_of(request), user, request.POST.get("active") == "1"))


@require_POST
@needs("users:manage")
def link_staff(request: HttpRequest, user_id: int) -> HttpResponse:
    """Say which member of staff a login is; an empty account unties it. It gives no right."""
    actor = actor_of(request)
    user = seen_or_404(actor, user_id)
    return _do(request, user, lambda: logins.link(actor, user, request.POST.get("userid", "")))


@require_POST
@needs("users:manage")
def grant_add(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give a user a role somewhere."""
    actor = actor_of(request)
    user = seen_or_404(actor, user_id)
    form = GrantForm(request.POST, actor=actor)
    if not form.is_valid():
        messages.error(request, _("Choose a role and a place."))
        return redirect("settings:user", user_id)
    role, node, until = (form.cleaned_data[name] for name in ("role", "org_node", "until"))
    return _do(request, user, lambda: users.give(actor, user, role, node, end_of(until)))


@require_POST
@needs("users:manage")
def grant_remove(request: HttpRequest, user_id: int, grant_id: int) -> HttpResponse:
    """Take a role away."""
    actor = actor_of(request)
    user = seen_or_404(actor, user_id)
    grant = get_object_or_404(Grant.objects.select_related("org_node", "user"), pk=grant_id, user=user)
    return _do(request, user, lambda: users.take(actor, grant))


def seen_or_404(actor: Actor, user_id: int) -> User:
    """The user, if she has a role where the actor sees users (or none at all)."""
    return get_object_or_404(users.seen_by(actor).distinct(), pk=user_id)


def end_of(day: date | None) -> datetime | None:
    """The end of a local day, as an instant."""
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), clock.zone())


def sentence(refused: UserRefused | LinkRefused) -> str:
    """Why a change was refused, in the current language."""
    return str(REFUSALS.get(refused.code, refused))


def offer_places(field: Any, nodes: QuerySet[OrgNode]) -> None:
    """Let a field choose among these nodes: deeper ones further in, another company is named. Its widget gets plain
    rows, because a model for each of hundreds of places takes most of a page's time."""
    field.queryset = nodes.order_by("path")
    rows = field.queryset.values_list("pk", "path", "name", "legal_entity")
    none = [] if field.empty_label is None else [("", field.empty_label)]
    field.widget.choices = [*none, *((pk, _indented(path, name, company)) for pk, path, name, company in rows)]


def _indented(path: str, name: str, company: str) -> str:
    label = name or _("Whole brand")
    depth = path.count(".") - 1
    of_company = f" · {company}" if company else ""
    return f"{_IN * depth}{label}{of_company}"


def place_name(node: OrgNode) -> str:
    """What a place is called; the root without a name is the whole brand."""
    return str(node.name or _("Whole brand"))


def _do(request: HttpRequest, user: User, verb: Callable[[], object]) -> HttpResponseRedirect:
    """Carry a change out; a refusal becomes a sentence."""
    try:
        verb()
    except (UserRefused, LinkRefused) as refused:
        messages.error(request, sentence(refused))
    else:
        messages.success(request, _("Saved."))
    return redirect("settings:user", user.pk)


def _staff_near(actor: Actor, user: User) -> list[Staff]:
    """Whom she may be: staff of the places where she has a role, without a login yet; who is called like her first."""
    below = Q(pk__in=[])
    for path in user.grants.values_list("org_node__path", flat=True):
        below |= Q(org_node__path__startswith=path)
    free = logins.linkable(actor).filter(below, user=None).select_related("store")
    return sorted(free.order_by("name")[:_NEAR], key=lambda one: one.userid != user.username)


@transaction.atomic
def _create(actor: Actor, values: dict[str, Any]) -> User:
    named = {"display_name": values["display_name"]}
    user = users.create(actor, values["username"], values["password"], **named, must_change=True)
    users.give(actor, user, values["role"], values["org_node"], end_of(values["until"]))
    return user


def _line(grant: Grant, known: dict[str, Role], removable: bool = False) -> Line:
    ended = grant.expires_at is not None and grant.expires_at <= clock.now()
    return Line(grant, known.get(grant.role), place_name(grant.org_node), ended, removable)
