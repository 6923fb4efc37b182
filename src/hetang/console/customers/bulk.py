"""Changing all customers of a filter at once: choose, look, start, watch, undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.console import figures
from hetang.console.approvals import words as approval_words
from hetang.console.customers.lists import rows as customer_rows
from hetang.console.customers.lists import tag_choices
from hetang.console.forms import DayInput
from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import Page, capped_count
from hetang.console.templatetags.hetang import staff_title
from hetang.customers import bulk
from hetang.customers.bulk import EDIT, FILTERS, Wanted
from hetang.customers.errors import BulkRefused
from hetang.customers.models import BulkChange, Tag
from hetang.platform import approvals, clock
from hetang.platform.access import Actor, Scope, actor_of, needs, own_customers, signed_in
from hetang.platform.approvals import BULK, ApprovalRefused
from hetang.platform.models import JobRun
from hetang.resources.models import Staff, Store

SAMPLE = 8
Text = str | Promise
KINDS: dict[str, Text] = {
    BulkChange.TAG_ON: gettext_lazy("Put a tag on"),
    BulkChange.TAG_OFF: gettext_lazy("Take a tag off"),
    BulkChange.DISTURB: gettext_lazy("Set do-not-disturb"),
}
STATES: dict[str, tuple[Text, str]] = {
    BulkChange.PREVIEW: (gettext_lazy("Not started"), ""),
    BulkChange.RUNNING: (gettext_lazy("Running"), "info"),
    BulkChange.DONE: (gettext_lazy("Finished"), "good"),
    BulkChange.UNDOING: (gettext_lazy("Being undone"), "info"),
    BulkChange.UNDONE: (gettext_lazy("Undone"), "warn"),
}
STOPPED: tuple[Text, str] = (gettext_lazy("Stopped halfway"), "warn")
REFUSALS: dict[str, Text] = {
    "nobody": gettext_lazy("Nobody whom you may change fits these filters."),
    "until_past": gettext_lazy("This day has passed. Choose a later one."),
    "tag_gone": gettext_lazy("Choose a tag. One that is archived cannot be put on or taken off any more."),
    "changed_meanwhile": gettext_lazy("It has been started, undone or discarded meanwhile. Look at it again."),
    "still_running": gettext_lazy("It is still running. Cancel it first, or wait for its end."),
    "nothing_to_undo": gettext_lazy("Nothing was changed, so there is nothing to undo."),
    "approval_needed": gettext_lazy("Somebody else must approve it before you can start it."),
    "approval_waiting": gettext_lazy("It waits for approval. You can start it as soon as somebody has approved it."),
    "approval_refused": gettext_lazy("It was refused."),
    "approval_changed": gettext_lazy("It has changed since it was approved. Ask again."),
    "approval_too_many": gettext_lazy("It has changed since it was approved. Ask again."),
    "approval_over": gettext_lazy("The approval was used or taken back meanwhile. Look at it again."),
}
TABLE = Table(
    code="bulk_changes",
    label=gettext_lazy("Changes to many"),
    permission=EDIT,
    url_name="customers:bulk-list",
    columns=(
        Column("what", gettext_lazy("What is to be done"), fixed=True),
        Column("filter", gettext_lazy("Filter")),
        Column("people", gettext_lazy("Customers"), sort="people", css="n"),
        Column("changed", gettext_lazy("Changed"), css="n"),
        Column("who", gettext_lazy("Who")),
        Column("at", gettext_lazy("When"), sort="created_at"),
        Column("state", gettext_lazy("State")),
    ),
    order=("-id",),
    key=("-id",),
)


class ChangeForm(forms.Form):
    """What is to be done with all of them."""

    kind = forms.ChoiceField(choices=list(KINDS.items()), initial=BulkChange.TAG_ON)
    tag = forms.ModelChoiceField(
        queryset=Tag.objects.filter(archived_at=None).select_related("group"), to_field_name="code", required=False
    )
    until = forms.DateField(required=False, widget=DayInput())


@require_GET
@needs(EDIT)
def change_list(request: HttpRequest) -> HttpResponse:
    """Changes to many that the actor made or may see, newest first."""
    listing = read(TABLE, bulk.seen_by(actor_of(request)), request)
    lines = described([one.filters for one in listing.page])
    rows = [
        {"change": one, "what": what(one), "lines": of_it, "state": state_of(one)}
        for one, of_it in zip(listing.page, lines, strict=True)
    ]
    return render(request, "console/customers/bulk_list.html", {"listing": listing, "rows": rows})


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def new(request: HttpRequest) -> HttpResponse:
    """Choose what to do with all customers of the filter in the address; a POST fixes them and shows who they are."""
    actor = actor_of(request)
    filters = {name: request.GET[name] for name in FILTERS if request.GET.get(name)}
    form = ChangeForm(request.POST or None)
    problem = ""
    if request.method == "POST":
        try:
            change = bulk.preview(actor, _wanted(form), filters)
        except BulkRefused as refused:
            problem = refusal(refused)
        else:
            return redirect("customers:bulk", change.public_id)
    values = {
        "lines": described([filters], actor.scope(EDIT))[0],
        "count": capped_count(bulk.chosen(actor, filters)),
        "groups": tag_choices(by_hand=True),
        "kinds": list(KINDS.items()),
        "chosen": request.POST or {"kind": BulkChange.TAG_ON},
        "problem": problem,
        "today": clock.today(),
        "back": request.GET.urlencode(),
    }
    return render(request, "console/customers/bulk_new.html", values, status=422 if problem else 200)


@require_GET
@signed_in
def show(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One change: whom it is for, what it would do, how far it is, what became of it."""
    actor = actor_of(request)
    change = _seen_or_404(actor, public_id)
    text, tone = state_of(change)
    running = change.job is not None and change.job.state in {JobRun.WAITING, JobRun.RUNNING}
    mine = bulk.may_change(actor, change)
    begun = change.state != BulkChange.PREVIEW
    values = {
        "change": change,
        "what": what(change),
        "lines": filter_lines(change.filters),
        "state": {"text": text, "tone": tone},
        "running": running,
        "estimate": None if begun else bulk.estimate(change),
        "rows": _sample(actor, change),
        "mine": mine,
        "standing": _standing(actor, change) if mine and not begun else None,
        "may_go_on": mine and begun and not running and change.state in {BulkChange.RUNNING, BulkChange.UNDOING},
        "may_undo": mine and not running and change.changed and change.state in {BulkChange.RUNNING, BulkChange.DONE},
    }
    return render(request, "console/customers/bulk.html", values)


@require_POST
@needs(EDIT)
def start(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The word that starts it."""
    return _step(request, public_id, lambda actor, change: bulk.start(actor, change, title_of(change)), _("Started."))


@require_POST
@needs(EDIT)
def go_on(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Go on after it was cancelled or failed."""
    return _step(
        request, public_id, lambda actor, change: bulk.go_on(actor, change, title_of(change)), _("It goes on.")
    )


@require_POST
@needs(EDIT)
def undo(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take it back."""

    def take_back(actor: Actor, change: BulkChange) -> None:
        bulk.undo(actor, change, _("Undo: %(title)s") % {"title": title_of(change)})

    return _step(request, public_id, take_back, _("It is being undone."))


@require_POST
@needs(EDIT)
def ask(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask somebody else to approve it."""

    def question(actor: Actor, change: BulkChange) -> None:
        bulk.ask(actor, change, title_of(change), request.POST.get("note", ""))

    return _step(request, public_id, question, _("Asked. You see the answer here and on your home page."))


@require_POST
@needs(EDIT)
def discard(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Throw away what was only looked at."""
    actor = actor_of(request)
    try:
        bulk.discard(actor, _seen_or_404(actor, public_id))
    except BulkRefused as refused:
        messages.error(request, refusal(refused))
        return redirect("customers:bulk", public_id)
    messages.success(request, _("Discarded. Nothing was changed."))
    return redirect("customers:list")


def _step(
    request: HttpRequest, public_id: UUID, step: Callable[[Actor, BulkChange], object], done: str
) -> HttpResponse:
    actor = actor_of(request)
    try:
        step(actor, _seen_or_404(actor, public_id))
    except BulkRefused as refused:
        messages.error(request, refusal(refused))
    except ApprovalRefused as refused:
        messages.error(request, approval_words.refusal(refused))
    else:
        messages.success(request, done)
    return redirect("customers:bulk", public_id)


# words ----------------------------------------------------------------------------------------------------------------


def refusal(refused: BulkRefused) -> str:
    """Why it cannot be so, in the current language."""
    return str(REFUSALS[refused.code])


def what(change: BulkChange) -> str:
    """What is done, in the current language."""
    tag = change.tag.name if change.tag else ""
    if change.kind == BulkChange.TAG_ON:
        return _("Put on “%(tag)s”") % {"tag": tag}
    if change.kind == BulkChange.TAG_OFF:
        return _("Take off “%(tag)s”") % {"tag": tag}
    if change.until is None:
        return _("Do not disturb, for ever")
    last_day = clock.local_day(change.until - timedelta(seconds=1))
    return _("Do not disturb until %(day)s") % {"day": last_day.isoformat()}


def title_of(change: BulkChange) -> str:
    """What its job and its approval are called."""
    people = ngettext("%(n)s customer", "%(n)s customers", change.people) % {"n": figures.number(change.people)}
    return f"{what(change)} · {people}"


def state_of(change: BulkChange) -> tuple[Text, str]:
    """Label and tone of where it is; a job that ended before its work was done has stopped."""
    over = change.job is not None and change.job.state in {JobRun.CANCELLED, JobRun.FAILED}
    return STOPPED if over and change.state in {BulkChange.RUNNING, BulkChange.UNDOING} else STATES[change.state]


def filter_lines(filters: dict[str, str]) -> list[tuple[Any, str]]:
    """The filters as label and name; one line that says so when there are none."""
    return described([filters])[0]


def described(many: Sequence[dict[str, str]], scope: Scope | None = None) -> list[list[tuple[Any, str]]]:
    """The same for several, with at most three queries. Names only of what lies in the `scope`, if there is one."""
    models: dict[str, tuple[Any, str, Any]] = {
        "store": (_("Home store"), "code", Store),
        "owner": (staff_title(), "userid", Staff),
        "tag": (_("Tag"), "code", Tag),
    }
    names: dict[str, dict[str, str]] = {}
    for name, (_label, column, model) in models.items():
        codes = {one[name] for one in many if one.get(name)}
        rows = model.objects.filter(**{f"{column}__in": codes}) if codes else None
        if rows is not None and scope is not None and model is not Tag:
            rows = rows.filter(org_node__in=scope.org_nodes())
        names[name] = dict(rows.values_list(column, "name")) if rows is not None else {}
    none = [(_("Filter"), _("none: all customers whom you may change"))]
    return [
        [(models[name][0], names[name].get(one[name], one[name])) for name in models if one.get(name)] or none
        for one in many
    ]


# reading --------------------------------------------------------------------------------------------------------------


def _wanted(form: ChangeForm) -> Wanted:
    if not form.is_valid():
        raise BulkRefused("until_past" if "until" in form.errors else "tag_gone")
    kind, day = form.cleaned_data["kind"], form.cleaned_data["until"]
    if kind != BulkChange.DISTURB:
        return Wanted(kind, form.cleaned_data["tag"])
    until = datetime.combine(day, time(), clock.zone()) + timedelta(days=1) if day else None
    return Wanted(kind, until=until)


def _seen_or_404(actor: Actor, public_id: UUID) -> BulkChange:
    found = bulk.seen_by(actor).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _sample(actor: Actor, change: BulkChange) -> list[Any]:
    """A few of them as the list shows them, of those whom the actor may see."""
    if not actor.can("customers:view"):
        return []
    seen = own_customers(actor, "customers:view").filter(pk__in=bulk.sample(change, SAMPLE))
    return customer_rows(Page(list(seen.select_related("home_store", "owner").order_by("number"))), actor)


def _standing(actor: Actor, change: BulkChange) -> dict[str, Any] | None:
    """The approval that it needs: the rule, the newest question, and why it does not cover it ("" when it does)."""
    rule = bulk.rule_of(actor, change)
    if rule is None:
        return None
    newest = approvals.latest(BULK, str(change.public_id))
    obstacle = "needed"
    if newest is not None:
        obstacle = approvals.obstacle(newest, approvals.hash_of(bulk.content_of(change)), change.people)
    return {"rule": rule, "approval": newest, "obstacle": obstacle}
