"""Campaigns: the list, one of them with its broadcasts, and the form."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.campaigns import queries, services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Broadcast, Campaign
from hetang.console.campaigns import words
from hetang.console.campaigns.access import EDIT, VIEW, campaign_or_404, may
from hetang.console.forms import DayInput, LongSelect
from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import keyset
from hetang.platform import clock, money
from hetang.platform.access import actor_of, needs
from hetang.platform.brand import brand
from hetang.platform.models import OrgNode

TABLE = Table(
    code="campaigns",
    label=_("Campaigns"),
    permission=VIEW,
    url_name="campaigns:list",
    columns=(
        Column("name", _("Campaign"), sort="name", fixed=True),
        Column("period", _("Period"), sort="starts_on"),
        Column("node", _("Part of the organisation")),
        Column("broadcasts", _("Broadcasts"), css="n"),
        Column("budget", _("Budget"), css="n"),
        Column("owner", _("Owner"), hidden=True),
        Column("state", _("State")),
    ),
    order=("-id",),
    key=("-id",),
    filters=("q", "state"),
)
STATES = {Campaign.OPEN: _("Open"), Campaign.CLOSED: _("Closed")}


class CampaignForm(forms.Form):
    """A campaign; money in major units."""

    name = forms.CharField(label=_("Name"), max_length=80)
    goal = forms.CharField(
        label=_("Goal"),
        max_length=300,
        required=False,
        help_text=_("What should be different afterwards, in one sentence."),
    )
    starts_on = forms.DateField(label=_("First day"), widget=DayInput())
    ends_on = forms.DateField(label=_("Last day"), widget=DayInput())
    budget = forms.DecimalField(label=_("Budget"), required=False, min_value=0, max_value=10**12)
    org_node = forms.ModelChoiceField(
        label=_("Part of the organisation"), queryset=OrgNode.objects.none(), empty_label=None, widget=LongSelect()
    )

    def __init__(self, *args: Any, nodes: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["budget"].label = gettext("Budget (%(currency)s)") % {"currency": brand().currency}
        chosen: Any = self.fields["org_node"]
        chosen.queryset = nodes
        chosen.label_from_instance = _node_label


def _node_label(node: OrgNode) -> str:
    return "　" * (node.path.count(".") - 1) + (node.name or gettext("Whole brand"))


@require_GET
@needs(VIEW)
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Campaigns that the actor may see, newest first."""
    found = queries.visible_campaigns(actor_of(request).scope(VIEW))
    text = request.GET.get("q", "").strip()
    if text:
        found = found.filter(name__icontains=text)
    state = request.GET.get("state", "")
    if state in STATES:
        found = found.filter(state=state)
    listing = read(TABLE, found, request)
    page = listing.page
    counts: dict[int, int] = {}
    for campaign_id in Broadcast.objects.filter(campaign__in=page.rows).values_list("campaign_id", flat=True):
        counts[campaign_id] = counts.get(campaign_id, 0) + 1
    rows = [(campaign, counts.get(campaign.pk, 0)) for campaign in page]
    values = {
        "listing": listing,
        "rows": rows,
        "q": text,
        "states": [(code, label, code == state) for code, label in STATES.items()],
        "today": clock.today(),
        "can_edit": actor_of(request).can(EDIT),
        "sees_codes": actor_of(request).scope(VIEW).everything,
    }
    return render(request, "console/campaigns/list.html", values)


@require_GET
@needs(VIEW)
def detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One campaign and its broadcasts."""
    campaign = campaign_or_404(request, public_id)
    page = keyset(
        Broadcast.objects.filter(campaign=campaign).select_related("audience", "programme"), ("-id",), request
    )
    values = {
        "campaign": campaign,
        "page": page,
        "rows": [(one, state_of(one)) for one in page],
        "can_edit": may(request, EDIT, campaign),
        "sees_codes": actor_of(request).scope(VIEW).everything,
    }
    return render(request, "console/campaigns/detail.html", values)


def state_of(broadcast: Broadcast) -> dict[str, Any]:
    """Text and tone of where a broadcast is."""
    if broadcast.programme is None:
        return {"text": gettext("Draft"), "tone": ""}
    return words.badge_of(broadcast.programme.state, words.PROGRAMME)


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def new(request: HttpRequest) -> HttpResponse:
    """A new campaign."""
    return _form(request, None)


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def edit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Change a campaign."""
    return _form(request, campaign_or_404(request, public_id))


def _form(request: HttpRequest, campaign: Campaign | None) -> HttpResponse:
    nodes = actor_of(request).own_scope(EDIT).org_nodes().order_by("path")
    form = CampaignForm(
        request.POST or None, nodes=nodes, initial=_initial(campaign, nodes.first(), request.GET.get("day", ""))
    )
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.save_campaign(actor_of(request), _fields(request, form, campaign), campaign)
        except CampaignError as refused:
            for problem in refused.problems:
                form.add_error(problem.field if problem.field in form.fields else None, words.sentence(problem))
        else:
            messages.success(request, gettext("Saved."))
            return _onward(request, saved)
    status = 422 if request.method == "POST" else 200
    return render(request, "console/campaigns/form.html", {"form": form, "campaign": campaign}, status=status)


def _onward(request: HttpRequest, saved: Campaign) -> HttpResponse:
    """To the campaign, or back to the broadcast for which it had to be made, with its audience."""
    audience = request.GET.get("audience", "")
    if not audience and "broadcast" not in request.GET:
        return redirect("campaigns:detail", saved.public_id)
    kept = urlencode({"campaign": saved.public_id, "audience": audience})
    return redirect(f"{reverse('campaigns:new_broadcast')}?{kept}")


def _initial(campaign: Campaign | None, node: OrgNode | None, day: str) -> dict[str, Any]:
    if campaign is None:
        first = _day(day) or clock.today()
        return {"starts_on": first, "ends_on": first + timedelta(days=6 if day else 30), "org_node": node}
    budget = None if campaign.budget is None else money.to_major(campaign.budget, brand().currency_digits)
    names = ("name", "goal", "starts_on", "ends_on", "org_node")
    return {name: getattr(campaign, name) for name in names} | {"budget": budget}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _fields(request: HttpRequest, form: CampaignForm, campaign: Campaign | None) -> services.CampaignFields:
    values = form.cleaned_data
    budget = values["budget"]
    return services.CampaignFields(
        name=values["name"],
        goal=values["goal"],
        starts_on=values["starts_on"],
        ends_on=values["ends_on"],
        org_node_id=values["org_node"].pk,
        budget=None if budget is None else money.to_minor(budget, brand().currency_digits),
        owner_id=campaign.owner_id if campaign else actor_of(request).user_id,
    )


@require_POST
@needs(EDIT)
def change_state(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Close or reopen a campaign."""
    campaign = campaign_or_404(request, public_id)
    closing = campaign.state == Campaign.OPEN
    services.set_state(actor_of(request), campaign, Campaign.CLOSED if closing else Campaign.OPEN)
    messages.success(request, gettext("The campaign is closed.") if closing else gettext("The campaign is open again."))
    return redirect("campaigns:detail", campaign.public_id)
