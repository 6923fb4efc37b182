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
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from hetang.communities import queries, services
from hetang.communities.models import GroupChat
from hetang.console.lists.tables import Column, Table, read
from hetang.platform import audit, clock
from hetang.platform.access import actor_of, needs
from hetang.resources.models import Store

VIEW, EDIT = "customers:view", "customers:edit"
DAYS = 30
KINDS: dict[str, str | Promise] = {
    GroupChat.UNSET: _("No kind yet"),
    GroupChat.WELFARE: _("Offers group"),
    GroupChat.STORE: _("Store's group"),
    GroupChat.MEMBERS: _("Members' group"),
    GroupChat.EVENT: _("Group of an event"),
    GroupChat.OTHER: _("Another kind"),
}
STATUSES: dict[int, str | Promise] = {
    GroupChat.OWNER_LEFT: _("Owner left"),
    GroupChat.HANDING_OVER: _("Handing over"),
    GroupChat.HANDED_OVER: _("Handed over"),
}

TABLE = Table(
    code="groups",
    label=_("Group chats"),
    permission=VIEW,
    url_name="groups:list",
    columns=(
        Column("name", _("Group chat"), fixed=True),
        Column("owner", _("Owner")),
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
    values = {
        "group": found,
        "kind": KINDS[found.kind],
        "status": STATUSES.get(found.status),
        "loss": loss,
        "days": list(reversed(days)),
        "joined": sum(day.joined for day in days),
        "left": sum(day.left for day in days),
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


def _or_404(request: HttpRequest, public_id: UUID) -> GroupChat:
    found = queries.visible(actor_of(request).own_scope(VIEW)).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _stores(request: HttpRequest) -> Any:
    nodes = actor_of(request).own_scope(EDIT).org_nodes()
    return Store.objects.filter(org_node__in=nodes).order_by("name")
