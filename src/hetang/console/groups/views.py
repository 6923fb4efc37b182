"""Group chats: the inventory, and one of them with who joined and left by day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from hetang.communities import queries, services
from hetang.communities.models import GroupChat
from hetang.connectors.wecom import group_days, group_welcomes, mass_messages
from hetang.connectors.wecom.models import GroupWelcomeUse
from hetang.console.customers.lists import avatars_of, titles_of
from hetang.console.groups.words import KINDS, QUOTAS, SCENES, STATUSES
from hetang.console.lists.tables import Column, Table, read
from hetang.customers.models import Identity
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, needs, own_customers
from hetang.resources.models import Staff, Store

VIEW, EDIT = "customers:view", "customers:edit"
DAYS = 30
MEMBERS = 50
TABLE = Table(
    code="groups",
    label=_("Group chats"),
    permission=VIEW,
    url_name="groups:list",
    columns=(
        Column("name", _("Group chat"), fixed=True),
        Column("owner", pgettext_lazy("group", "Owner")),
        Column("store", _("Store")),
        Column("kind", _("Kind")),
        Column("size", _("Members"), sort="size", css="n"),
        Column("customers", _("Customers"), css="n"),
        Column("loss", _("Lost within 7 days"), css="n"),
        Column("made", _("Made"), hidden=True),
        Column("state", _("State")),
    ),
    order=("-size", "-id"),
    key=("-id",),
    filters=("q", "kind", "state"),
)


class PlaceForm(forms.Form):
    """What kind of group it is, and whose."""

    kind = forms.ChoiceField(label=_("Kind"), choices=list(KINDS.items()), required=False)
    store = forms.ModelChoiceField(
        label=_("Store"),
        queryset=Store.objects.none(),
        required=False,
        empty_label=_("Where the owner works"),
    )

    def __init__(self, *args: Any, stores: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = cast("forms.ModelChoiceField[Store]", self.fields["store"])
        chosen.queryset = stores
        chosen.label_from_instance = lambda store: store.name  # type: ignore[method-assign, assignment]


@require_GET
@needs(VIEW)
def group_list(request: HttpRequest) -> HttpResponse:
    """Groups within the scope, the largest first."""
    actor = actor_of(request)
    found = queries.visible(actor.own_scope(VIEW))  # owners are named
    any_here = found.exists()
    q, kind, state = (request.GET.get(name, "").strip() for name in ("q", "kind", "state"))
    if q:
        found = found.filter(Q(name__icontains=q) | Q(owner__name__icontains=q))
    if kind in KINDS and kind:
        found = found.filter(kind=kind)
    found = found.exclude(dissolved_at=None) if state == "dissolved" else found.filter(dissolved_at=None)
    if state == "owner":
        found = found.exclude(status=GroupChat.IN_ORDER)
    listing = read(TABLE, found, request)
    ids = [one.pk for one in listing.page.rows]
    until = queries.last_full_day(clock.today())
    losses = queries.loss_of(ids, until - timedelta(days=DAYS - 1), until)
    values = {
        "listing": listing,
        "rows": [(one, KINDS[one.kind], losses.get(one.pk), STATUSES.get(one.status)) for one in listing.page.rows],
        "any": any_here,
        "q": q,
        "kinds": [(code, name, code == kind) for code, name in KINDS.items() if code],
        "state": state,
    }
    return render(request, "console/groups/list.html", values)


@require_GET
@needs(VIEW)
def group(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One group: its place, and its last thirty days."""
    actor = actor_of(request)
    found = _or_404(request, public_id)
    today = clock.today()
    until = queries.last_full_day(today)
    loss = queries.loss_of([found.pk], until - timedelta(days=DAYS - 1), until).get(found.pk)
    may_edit = actor.own_scope(EDIT).covers(found.org_node.path)
    days = queries.days(found, today - timedelta(days=DAYS - 1), today)
    shared = queries.shared_with(found, actor.own_scope(VIEW))
    others = GroupChat.objects.in_bulk([one.other for one in shared])
    use = GroupWelcomeUse.objects.select_related("welcome").filter(group=found).first()
    owner_days = (
        list(group_days.of_owner(found.owner_userid, today - timedelta(days=DAYS))) if found.owner_userid else []
    )
    people = _members(actor, found)
    if known := sum(one["customer"] is not None for one in people):
        audit.look(actor, "look.list", "group_chat", found.public_id, {"shown": known})
    cap = mass_messages.cap_of_group(clock.now())
    got = mass_messages.used([found.chat_id], cap.since).get(found.chat_id, mass_messages.Used())
    values = {
        "members": people,
        "got": got,
        "got_title": QUOTAS[cap.mode],
        "got_most": cap.most,
        "got_left": max(0, (cap.most or 0) - got.by_corp),
        "group": found,
        "kind": KINDS[found.kind],
        "status": STATUSES.get(found.status),
        "loss": loss,
        "days": list(reversed(days)),
        "joined": sum(day.joined for day in days),
        "left": sum(day.left for day in days),
        "shared": [(others[one.other], one) for one in shared],
        "use": use,
        "owner_days": owner_days,
        "may_edit": may_edit,
        "form": PlaceForm(
            stores=_stores(request),
            initial={"kind": found.kind, "store": found.store_id if found.placed_by_hand else None},
        )
        if may_edit
        else None,
    }
    return render(request, "console/groups/group.html", values)


@require_POST
@needs(EDIT)
def place(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say what kind of group it is and which store's."""
    actor = actor_of(request)
    found = _or_404(request, public_id)
    actor.require_own_at(EDIT, found.org_node)
    form = PlaceForm(request.POST, stores=_stores(request))
    if not form.is_valid():
        messages.error(request, gettext("Choose one of the kinds and one of your stores."))
        return redirect("groups:group", public_id)
    kind, store = form.cleaned_data["kind"], form.cleaned_data["store"]
    with transaction.atomic():
        changes = {"kind": [found.kind, kind], "store": store.code if store else ""}
        services.place(found, kind, store)
        audit.record(actor, "group_chat.placed", "group_chat", found.public_id, changes, found.org_node_id)
    messages.success(request, gettext("Saved. The next sync leaves it as it is."))
    return redirect("groups:group", public_id)


@require_POST
@needs(EDIT)
def welcome_answer(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Say whether the owner has set the welcome in the client."""
    actor = actor_of(request)
    found = _or_404(request, public_id)
    actor.require_own_at(EDIT, found.org_node)
    try:
        group_welcomes.answer(actor, found, is_set=request.POST.get("set") == "yes")
    except GroupWelcomeUse.DoesNotExist:
        raise Http404 from None
    messages.success(request, gettext("Noted."))
    return redirect("groups:group", public_id)


def _members(actor: Actor, group: GroupChat) -> list[dict[str, Any]]:
    """The newest who are in it: customers as the actor may see them (her own company's, masked), staff by name."""
    newest = list(group.members.filter(left_at=None).order_by("-joined_at", "-id")[:MEMBERS])
    keys = [one.member for one in newest if not one.is_staff]
    numbers = dict(Identity.objects.filter(kind="external_userid", key__in=keys).values_list("key", "customer_id"))
    mine = own_customers(actor, VIEW).filter(pk__in=numbers.values()).values_list("pk", "public_id")
    people = dict(mine) if numbers else {}
    titles = titles_of(list(people)) if people else {}
    shown = avatars_of(list(people), actor) if people else set()
    staff = dict(
        Staff.objects.filter(userid__in=[one.member for one in newest if one.is_staff]).values_list("userid", "name")
    )
    return [
        {
            "stay": one,
            "staff": staff.get(one.member, one.member) if one.is_staff else "",
            "customer": people.get(numbers.get(one.member, 0)),
            "title": titles.get(numbers.get(one.member, 0), ""),
            "avatar": numbers.get(one.member) in shown,
            "scene": SCENES.get(one.join_scene, ""),
        }
        for one in newest
    ]


def _or_404(request: HttpRequest, public_id: UUID) -> GroupChat:
    found = queries.visible(actor_of(request).own_scope(VIEW)).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _stores(request: HttpRequest) -> Any:
    nodes = actor_of(request).own_scope(EDIT).org_nodes()
    return Store.objects.filter(org_node__in=nodes).order_by("name")
