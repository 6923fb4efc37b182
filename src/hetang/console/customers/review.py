"""Who might be one person: the queue, two customers side by side, one key for each decision, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.commerce import queries as commerce
from hetang.console import figures
from hetang.console.customers import words
from hetang.console.customers.lists import titles_of
from hetang.console.customers.unmerging import refusal
from hetang.console.lists.tables import Column, Table, read
from hetang.customers import decided, jobs, queries, reviewing
from hetang.customers.errors import KeptApart, NoIdentity
from hetang.customers.grounds import COLLEAGUE, GROUNDS
from hetang.customers.models import Decision, Proposal
from hetang.customers.rules import plain_text
from hetang.facts.errors import Refusal
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, needs, own_customers
from hetang.platform.models import JobRun, User

MERGE = "customers:merge"
OPEN, LATER, DECIDED = "open", "later", "decided"
STATES: dict[str, str | Promise] = {
    OPEN: gettext_lazy("To decide"),
    LATER: gettext_lazy("Put off"),
    DECIDED: gettext_lazy("Decided"),
}
VERDICTS: dict[str, str | Promise] = {
    Decision.SAME: gettext_lazy("The same person"),
    Decision.APART: gettext_lazy("Not the same person"),
}
ACTIONS = {Decision.SAME: "review.same", Decision.APART: "review.apart", LATER: "review.later"}

TABLE = Table(
    code="review",
    label=gettext_lazy("Same person?"),
    permission=MERGE,
    url_name="customers:review",
    columns=(
        Column("pair", gettext_lazy("Two customers"), fixed=True),
        Column("grounds", gettext_lazy("Why")),
        Column("found", gettext_lazy("Since"), sort="proposed_at"),
        Column("by", gettext_lazy("Proposed by"), hidden=True),
        Column("verdict", gettext_lazy("Decision")),
    ),
    order=("-weight", "-id"),
    key=("-id",),
    filters=("state", "ground"),
)


class DecisionForm(forms.Form):
    """What the two are, and why (if it needs saying)."""

    decision = forms.ChoiceField(choices=[(code, "") for code in ACTIONS])
    reason = forms.CharField(max_length=300, required=False)


@dataclass(frozen=True)
class Line:
    """One thing known of both. `same`: the two agree in it, which the masks may hide."""

    label: str | Promise
    values: tuple[str, str]
    same: bool = False


@require_GET
@needs(MERGE)
def queue(request: HttpRequest) -> HttpResponse:
    """Pairs that wait, the most suspicious first; or those put off, or decided."""
    actor = actor_of(request)
    state = request.GET.get("state", OPEN)
    state = state if state in STATES else OPEN
    ground = request.GET.get("ground", "")
    chosen = _among(actor, state)
    if ground in GROUNDS or ground == COLLEAGUE:
        chosen = chosen.filter(grounds__contains=[ground])
    listing = read(TABLE, chosen, request)
    titles = titles_of([number for one in listing.page for number in (one.one_id, one.other_id)])
    values = {
        "listing": listing,
        "rows": [(one, titles[one.one_id], titles[one.other_id], _grounds(one)) for one in listing.page],
        "verdicts": VERDICTS,
        "states": [(code, label, code == state) for code, label in STATES.items()],
        "grounds": [(code, label, code == ground) for code, label in _all_grounds()],
        "ground": ground,
        "last_look": JobRun.objects.filter(kind=jobs.LOOK).order_by("-id").first(),
        "last": _last(request, actor),
        "may_look": actor.scope(MERGE).everything,
    }
    return render(request, "console/customers/review.html", values)


@require_POST
@needs(MERGE, whole_brand=True)
def look(request: HttpRequest) -> HttpResponse:
    """Look through all customers now instead of tonight."""
    actor = actor_of(request)
    with transaction.atomic():
        run = jobs.ask_to_look(User.objects.filter(pk=actor.user_id or 0).first())
        audit.record(actor, "review.looked", "job", run.public_id)
    messages.success(request, _("All customers are looked through. The list is up to date in a minute."))
    return redirect("customers:review")


@require_GET
@needs(MERGE)
def pair(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Both side by side, with what they have in common."""
    actor = actor_of(request)
    proposal = _proposal_or_404(actor, proposal_id)
    if proposal.state != Proposal.OPEN:
        return redirect(f"{reverse('customers:review')}?last={proposal.pk}")
    customers = [proposal.one, proposal.other]
    for one in customers:
        audit.look(actor, "look.portrait", "customer", one.public_id)
    titles = titles_of([one.pk for one in customers])
    waiting = _among(actor, OPEN)
    onward = _next(waiting, proposal)
    values = {
        "proposal": proposal,
        "sides": [(one, titles[one.pk]) for one in customers],
        "lines": _lines(proposal),
        "grounds": _grounds(proposal),
        "apart": decided.kept_apart(proposal.one_id, proposal.other_id),
        "onward": onward if onward and onward.pk != proposal.pk else None,
        "left": waiting.count(),
        "last": _last(request, actor),
    }
    return render(request, "console/customers/review_pair.html", values)


@require_POST
@needs(MERGE)
def decide(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """The same person, not the same, or later; then on to the next pair."""
    actor = actor_of(request)
    proposal = _proposal_or_404(actor, proposal_id)
    onward = _next(_among(actor, OPEN), proposal)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose what they are. A reason has at most 300 characters."))
        return redirect("customers:review-pair", proposal.pk)
    decision, reason = form.cleaned_data["decision"], form.cleaned_data["reason"]
    try:
        with transaction.atomic():
            done = (
                reviewing.put_off(proposal)
                if decision == LATER
                else reviewing.decide(proposal, decision, actor.name, reason or _in_words(proposal))
            )
            if done:
                _note(actor, ACTIONS[decision], proposal, reason)
    except KeptApart:
        messages.error(request, _("A colleague decided that they are not the same person. Take that back first."))
        return redirect("customers:review-pair", proposal.pk)
    except (NoIdentity, Refusal) as refused:
        messages.error(request, refusal(refused))
        return redirect("customers:review-pair", proposal.pk)
    if not done:
        messages.error(request, _("Somebody else decided about these two meanwhile."))
    if onward is None or onward.pk == proposal.pk:
        return redirect(f"{reverse('customers:review')}?last={proposal.pk}")
    return redirect(f"{reverse('customers:review-pair', args=[onward.pk])}?last={proposal.pk}")


@require_POST
@needs(MERGE)
def undo(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Take the decision about a pair back: it waits again."""
    actor = actor_of(request)
    proposal = _proposal_or_404(actor, proposal_id)
    try:
        with transaction.atomic():
            if reviewing.take_back(proposal, actor.name):
                _note(actor, "review.taken_back", proposal, "")
    except NoIdentity as refused:
        messages.error(request, refusal(refused))
        return redirect("customers:review")
    messages.success(request, _("Taken back: these two wait for a decision again."))
    if proposal.verdict == Decision.SAME:  # they are two again when the stream has followed
        return redirect("customers:review")
    return redirect("customers:review-pair", proposal.pk)


def waiting_for(actor: Actor) -> int:
    """How many pairs wait for her, counted no further than a hundred."""
    return _among(actor, OPEN)[:100].count() if actor.can(MERGE) else 0


def _among(actor: Actor, state: str) -> QuerySet[Proposal]:
    """The pairs of which both are the actor's own customers."""
    own = own_customers(actor, MERGE).values("pk")
    found = Proposal.objects.select_related("one", "other")
    if state == DECIDED:
        both = [Q(**{f"{side}__in": own}) | Q(**{f"{side}__merged_into__in": own}) for side in ("one", "other")]
        return found.filter(*both, state=Proposal.DECIDED)
    found = found.filter(state=Proposal.OPEN, one__in=own, other__in=own)
    put_off = Q(later_until__gt=clock.now())
    return found.filter(put_off) if state == LATER else found.exclude(put_off)


def _proposal_or_404(actor: Actor, proposal_id: int) -> Proposal:
    for state in STATES:
        found = _among(actor, state).filter(pk=proposal_id).first()
        if found is not None:
            return found
    raise Http404


def _next(waiting: QuerySet[Proposal], proposal: Proposal) -> Proposal | None:
    """The pair after this one, or else the first."""
    after = Q(weight__lt=proposal.weight) | Q(weight=proposal.weight, pk__lt=proposal.pk)
    ordered = waiting.order_by("-weight", "-id")
    return ordered.filter(after).first() or ordered.first()


def _last(request: HttpRequest, actor: Actor) -> dict[str, Any] | None:
    """The pair that was just decided, for the way back."""
    number = request.GET.get("last", "")
    if not number.isdecimal() or len(number) > 18:
        return None
    try:
        proposal = _proposal_or_404(actor, int(number))
    except Http404:
        return None
    if proposal.state == Proposal.OPEN and proposal.later_until is None:
        return None
    titles = titles_of([proposal.one_id, proposal.other_id])
    word = VERDICTS.get(proposal.verdict, gettext_lazy("Put off for thirty days"))
    return {"proposal": proposal, "names": [titles[proposal.one_id], titles[proposal.other_id]], "word": word}


def _note(actor: Actor, action: str, proposal: Proposal, reason: str) -> None:
    changes = {"other": str(proposal.other.public_id), "grounds": proposal.grounds, "reason": reason}
    audit.record(actor, action, "customer", proposal.one.public_id, changes)


def _all_grounds() -> list[tuple[str, str | Promise]]:
    return [(COLLEAGUE, gettext_lazy("A colleague believes it"))] + [(one.code, one.label) for one in GROUNDS.values()]


def _grounds(proposal: Proposal) -> list[str | Promise]:
    known = dict(_all_grounds())
    return [known.get(code, code) for code in proposal.grounds]


def _in_words(proposal: Proposal) -> str:
    """What a decision without a reason stands on."""
    return "; ".join(proposal.grounds)


def _lines(proposal: Proposal) -> list[Line]:
    """Everything known of both, what they agree in first."""
    now = clock.now()
    both = [queries.portrait(one.public_id, now) for one in (proposal.one, proposal.other)]
    same_name = queries.same_name(proposal.one_id, proposal.other_id)
    lines = [Line(pgettext("person", "Name"), (both[0].name, both[1].name), same_name)]
    shared = queries.shared_by_both(proposal.one_id, proposal.other_id)
    lines += [Line(words.IDENTITIES.get(kind, kind), (shown, shown), True) for kind, shown in shared]
    lines += _attribute_lines(both)
    lines += _identity_lines(both)
    lines += [
        _compared(_("Home store"), [one.home_store for one in both]),
        _compared(_("Served by"), [one.owner for one in both]),
        Line(_("Tags"), _joined([[tag.tag.name for tag in one.tags] for one in both])),
        Line(_("Friends in WeCom"), _joined([[row.staff.name for row in one.relations] for one in both])),
    ]
    lines += _sums(both)
    filled = [line for line in lines if any(line.values)]
    return sorted(filled, key=lambda line: not line.same)


def _attribute_lines(both: Sequence[queries.Portrait]) -> Iterable[Line]:
    known = [{one.code: one for one in portrait.attributes} for portrait in both]
    for code in sorted({*known[0], *known[1]}):
        sides = [attributes.get(code) for attributes in known]
        some = known[0].get(code) or known[1][code]
        values = ["" if one is None else str(one.value) for one in sides]
        same = (
            all(one is not None and not one.hidden for one in sides) and len({plain_text(one) for one in values}) == 1
        )
        yield Line(some.label_en if get_language() == "en" else some.label_zh, (values[0], values[1]), same)


def _identity_lines(both: Sequence[queries.Portrait]) -> Iterable[Line]:
    for kind, label in words.IDENTITIES.items():
        yield Line(
            label, _joined([[one.shown for one in portrait.identities if one.kind == kind] for portrait in both])
        )


def _sums(both: Sequence[queries.Portrait]) -> list[Line]:
    now = clock.now()
    sums = [commerce.metrics_of(one.number, now) for one in both]
    orders = [ngettext("%(n)s order", "%(n)s orders", one.orders) % {"n": figures.number(one.orders)} for one in sums]
    return [
        Line(_("Orders"), (orders[0], orders[1])),
        Line(_("Net sales"), (figures.money(sums[0].gmv), figures.money(sums[1].gmv))),
        Line(_("Last order"), _days([one.last_order_at for one in sums])),
        Line(_("Known since"), _days([one.created_at for one in both])),
    ]


def _days(times: Sequence[Any]) -> tuple[str, str]:
    shown = ["" if at is None else clock.local_day(at).isoformat() for at in times]
    return shown[0], shown[1]


def _compared(label: str, values: Sequence[str]) -> Line:
    return Line(label, (values[0], values[1]), bool(values[0]) and values[0] == values[1])


def _joined(sides: Sequence[Sequence[str]]) -> tuple[str, str]:
    between = "、" if get_language() == "zh-hans" else ", "
    return between.join(sides[0]), between.join(sides[1])
