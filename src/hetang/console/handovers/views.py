"""Staff who left or move: who waits, prepare, look, start, follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.communities.models import GroupChat
from hetang.connectors.wecom.handover import preparing, queries
from hetang.connectors.wecom.handover.errors import HandoverRefused
from hetang.connectors.wecom.handover.preparing import HAND_OVER, Wanted
from hetang.connectors.wecom.models import Handover, HandoverItem
from hetang.console.customers.lists import titles_of
from hetang.console.handovers import words
from hetang.console.paging import capped_count, keyset
from hetang.customers.models import Identity
from hetang.platform import audit
from hetang.platform.access import Actor, actor_of, needs, own_customers
from hetang.platform.models import JobRun
from hetang.resources.models import Staff, Store

RECENT = 30
_CUSTOMERS_VIEW = "customers:view"


class HandoverForm(forms.Form):
    """What goes, and to whom: one member, or those of a store."""

    customers = forms.BooleanField(label=gettext_lazy("Customers"), required=False)
    groups = forms.BooleanField(label=gettext_lazy("Group chats"), required=False)
    rule = forms.ChoiceField(
        choices=[
            (Handover.ONE, gettext_lazy("To one member")),
            (Handover.SHARED, gettext_lazy("Shared out among those of a store: who has fewest customers gets first")),
        ],
    )
    taker = forms.ModelChoiceField(
        label=gettext_lazy("Who takes over"),
        queryset=Staff.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label="–",
    )
    store = forms.ModelChoiceField(
        label=gettext_lazy("Among the staff of"),
        queryset=Store.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label="–",
    )
    home_store = forms.ModelChoiceField(
        label=gettext_lazy("Only customers at home in"),
        queryset=Store.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=gettext_lazy("All stores, and none"),
        help_text=gettext_lazy("Who moves to another store may leave the customers of the old one behind."),
    )
    message = forms.CharField(
        label=gettext_lazy("What the customer reads"),
        max_length=200,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "WeCom tells each customer that somebody else looks after her. Empty: in its own words."
        ),
    )

    def __init__(self, *args: Any, takers: Any, stores: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taker = cast("forms.ModelChoiceField[Staff]", self.fields["taker"])
        taker.queryset, taker.label_from_instance = takers, _named  # type: ignore[assignment, method-assign]
        for name in ("store", "home_store"):
            store = cast("forms.ModelChoiceField[Store]", self.fields[name])
            store.queryset = stores
            store.label_from_instance = lambda one: one.name  # type: ignore[method-assign, assignment]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not said.get("customers") and not said.get("groups"):
            self.add_error("customers", _("Choose customers, group chats, or both."))
        if said.get("rule") == Handover.ONE and not said.get("taker"):
            self.add_error("taker", _("Choose who takes over."))
        if said.get("rule") == Handover.SHARED and not said.get("store"):
            self.add_error("store", _("Choose the store among whose staff they are shared out."))
        return said


def _named(one: Staff) -> str:
    return f"{one.name} · {one.store.name}" if one.store else one.name


@require_GET
@needs(HAND_OVER)
def overview(request: HttpRequest) -> HttpResponse:
    """Who left with customers still waiting, and the newest hand-overs."""
    actor = actor_of(request)
    scope = actor.own_scope(HAND_OVER)
    recent = list(queries.visible(scope).order_by("-id")[:RECENT])
    giving = Staff.objects.filter(active=True, org_node__in=scope.org_nodes()).select_related("store")
    values = {
        "leavers": queries.leavers(scope),
        "rows": [(one, words.KINDS[one.kind], *_state_of(one)) for one in recent],
        "staff": [(one, _named(one)) for one in giving.order_by("name", "id")[:2000]],
        "most": queries.SHOWN,
    }
    return render(request, "console/handovers/list.html", values)


@require_http_methods(["GET", "POST"])
@needs(HAND_OVER)
def new(request: HttpRequest) -> HttpResponse:
    """Say what goes to whom; a POST plans the job that writes down who goes and who cannot. Nothing is handed over."""
    actor = actor_of(request)
    giver = _giver_or_404(actor, request.GET.get("staff", ""))
    scope = actor.own_scope(HAND_OVER)
    takers = Staff.objects.filter(active=True, org_node__in=scope.org_nodes()).exclude(pk=giver.pk)
    takers = takers.select_related("store", "org_node").order_by("name", "id")
    stores = Store.objects.filter(org_node__in=scope.org_nodes()).order_by("name")
    initial = {
        "customers": True,
        "groups": True,
        "rule": Handover.SHARED if giver.store_id else Handover.ONE,
        "store": giver.store.public_id if giver.store else None,
    }
    form = HandoverForm(request.POST or None, takers=takers, stores=stores, initial=initial)
    problem = ""
    if request.method == "POST" and form.is_valid():
        try:
            handover = preparing.ask(actor, _wanted(giver, form, takers))
        except HandoverRefused as refused:
            problem = str(words.REFUSALS[refused.code])
        else:
            return redirect("handovers:show", handover.public_id)
    values = {"giver": giver, "form": form, "problem": problem, "shared": form["rule"].value() == Handover.SHARED}
    status = 422 if request.method == "POST" else 200
    return render(request, "console/handovers/new.html", values, status=status)


@require_GET
@needs(HAND_OVER)
def show(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One hand-over: how many to whom, what cannot go and why, how far it is, and each customer and group."""
    actor = actor_of(request)
    handover = _seen_or_404(actor, public_id)
    counts = queries.counts_of(handover)
    state = request.GET.get("state", "")
    items = HandoverItem.objects.filter(handover=handover).select_related("taker")
    chosen = items.filter(state=state) if state in words.ITEM_STATES else items
    page = keyset(chosen, ("id",), request)
    rows = _rows(actor, page.rows)
    if shown := sum(row["customer"] is not None for row in rows):
        audit.look(actor, "look.list", "handover", handover.public_id, {"shown": shown})
    running = handover.job is not None and handover.job.state in {JobRun.WAITING, JobRun.RUNNING}
    text, tone = _state_of(handover)
    planned = sum(counts.get(kind, {}).get(HandoverItem.PLANNED, 0) for kind in ("customer", "group"))
    values = {
        "handover": handover,
        "state": {"text": text, "tone": tone},
        "kind": words.KINDS[handover.kind],
        "lines": _lines(counts),
        "takers": queries.takers_of(handover),
        "reasons": [
            (kind, words.ITEM_STATES[of][0], words.REASONS.get(reason, ""), count)
            for kind, of, reason, count in queries.reasons_of(handover)
        ],
        "page": page,
        "rows": rows,
        "count": capped_count(chosen),
        "states": [(code, label, code == state) for code, (label, _tone) in words.ITEM_STATES.items()],
        "running": running,
        "planned": planned,
        "to_go": {kind: counts.get(kind, {}).get(HandoverItem.PLANNED, 0) for kind in ("customer", "group")},
        "prepared": handover.state == Handover.PREPARED,
        "preparing": handover.state == Handover.PREPARING,
        "problem": words.REFUSALS.get(handover.problem, "") if handover.state == Handover.REFUSED else "",
        "stopped": handover.state == Handover.RUNNING and not running and _is_stopped(handover),
    }
    return render(request, "console/handovers/show.html", values)


@require_POST
@needs(HAND_OVER)
def start(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The word that starts it, or lets it go on."""
    return _step(request, public_id, preparing.start, _("Started. WeCom tells each customer; she has a day to refuse."))


@require_POST
@needs(HAND_OVER)
def prepare_again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Go on preparing what was cancelled or refused."""
    return _step(request, public_id, preparing.ask_again, "")


@require_POST
@needs(HAND_OVER)
def give_up(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Leave the rest where it is."""
    return _step(request, public_id, preparing.give_up, _("The rest stays where it is."))


@require_POST
@needs(HAND_OVER)
def discard(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Throw away what was only prepared."""
    actor = actor_of(request)
    try:
        preparing.discard(actor, _seen_or_404(actor, public_id))
    except HandoverRefused as refused:
        messages.error(request, str(words.REFUSALS[refused.code]))
        return redirect("handovers:show", public_id)
    messages.success(request, _("Discarded. Nothing was handed over."))
    return redirect("handovers:list")


def _step(request: HttpRequest, public_id: UUID, step: Callable[[Actor, Handover], None], done: str) -> HttpResponse:
    actor = actor_of(request)
    try:
        step(actor, _seen_or_404(actor, public_id))
    except HandoverRefused as refused:
        messages.error(request, str(words.REFUSALS[refused.code]))
    else:
        if done:
            messages.success(request, done)
    return redirect("handovers:show", public_id)


def _wanted(giver: Staff, form: HandoverForm, takers: Any) -> Wanted:
    said = form.cleaned_data
    shared = said["rule"] == Handover.SHARED
    some = list(takers.filter(store=said["store"])) if shared else [said["taker"]]
    return Wanted(
        giver,
        some,
        said["rule"],
        customers=said["customers"],
        groups=said["groups"],
        message=said["message"].strip(),
        home_store=said["home_store"],
    )


def _giver_or_404(actor: Actor, public_id: str) -> Staff:
    try:
        wanted = UUID(public_id)
    except ValueError:
        raise Http404 from None
    nodes = actor.own_scope(HAND_OVER).org_nodes()
    found = Staff.objects.select_related("store", "org_node").filter(public_id=wanted, org_node__in=nodes).first()
    if found is None:
        raise Http404
    return found


def _seen_or_404(actor: Actor, public_id: UUID) -> Handover:
    found = queries.visible(actor.own_scope(HAND_OVER)).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _is_stopped(handover: Handover) -> bool:
    return handover.job is not None and handover.job.state in {JobRun.CANCELLED, JobRun.FAILED}


def _state_of(handover: Handover) -> tuple[words.Text, str]:
    """Label and tone of where it is; a job that ended before its work was done has stopped."""
    if handover.state in {Handover.RUNNING, Handover.PREPARING} and _is_stopped(handover):
        return words.STOPPED
    return words.STATES[handover.state]


def _lines(counts: dict[str, dict[str, int]]) -> list[tuple[words.Text, str, int, int]]:
    """Label, tone, customers and groups of every state that occurs."""
    found = []
    for code, (label, tone) in words.ITEM_STATES.items():
        customers, groups = (counts.get(kind, {}).get(code, 0) for kind in ("customer", "group"))
        if customers or groups:
            found.append((label, tone, customers, groups))
    return found


def _rows(actor: Actor, items: list[HandoverItem]) -> list[dict[str, Any]]:
    """Customers as the actor may see them (her own company's, masked), groups by name."""
    keys = [one.key for one in items if one.kind == HandoverItem.CUSTOMER]
    numbers = dict(Identity.objects.filter(kind="external_userid", key__in=keys).values_list("key", "customer_id"))
    people: dict[int, UUID] = {}
    if actor.can(_CUSTOMERS_VIEW) and numbers:
        mine = own_customers(actor, _CUSTOMERS_VIEW).filter(pk__in=numbers.values())
        people = dict(mine.values_list("pk", "public_id"))
    titles = titles_of(list(people)) if people else {}
    chats = [one.key for one in items if one.kind == HandoverItem.GROUP]
    groups = {one.chat_id: one for one in GroupChat.objects.filter(chat_id__in=chats)} if chats else {}
    return [
        {
            "item": one,
            "title": titles.get(numbers.get(one.key, 0), ""),
            "customer": people.get(numbers.get(one.key, 0)),
            "group": groups.get(one.key),
            "state": words.ITEM_STATES[one.state],
            "reason": words.REASONS.get(one.reason, ""),
        }
        for one in items
    ]
