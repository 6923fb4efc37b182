"""The composer: a broadcast as a plain form, with a preview of what the customer's phone will show."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.audiences import queries as audiences
from hetang.audiences.models import Audience
from hetang.campaigns import pictures, queries, services
from hetang.campaigns.errors import CampaignError, Problem
from hetang.campaigns.models import Broadcast, Campaign
from hetang.campaigns.rules import MAX_VARIANTS, check_variants, rules_of
from hetang.console.campaigns import words
from hetang.console.campaigns.access import EDIT, VIEW, broadcast_or_404, may
from hetang.console.campaigns.campaigns import state_of
from hetang.console.campaigns.drafts import CHANNEL, EXAMPLE_LINK, Draft, blank, read, shown, take_uploads
from hetang.console.campaigns.splits import make_split
from hetang.console.days import iso_moment
from hetang.console.lists.tables import Column, Table
from hetang.console.lists.tables import read as read_list
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.platform.models import OrgNode
from hetang.touch.governor import quiet

_CHOICES = 300


TABLE = Table(
    code="broadcasts",
    label=_("Broadcasts"),
    permission=VIEW,
    url_name="campaigns:broadcasts",
    columns=(
        Column("name", _("Broadcast"), sort="name", fixed=True),
        Column("campaign", _("Campaign")),
        Column("audience", _("Audience")),
        Column("slot", _("Planned for")),
        Column("control", _("Control group (not sent)"), css="n"),
        Column("changed", _("Last changed"), sort="updated_at", hidden=True),
        Column("state", _("State")),
        Column("report", _("Report")),
    ),
    order=("-id",),
    key=("-id",),
    filters=("q", "state"),
)


@require_GET
@needs(VIEW)
def broadcast_list(request: HttpRequest) -> HttpResponse:
    """All broadcasts that the actor may see, newest first."""
    scope = actor_of(request).scope(VIEW)
    found = queries.visible_broadcasts(scope)
    text, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    if text:
        found = found.filter(name__icontains=text)
    if state in words.PROGRAMME or state == Broadcast.DRAFT:
        found = found.filter(programme=None) if state == Broadcast.DRAFT else found.filter(programme__state=state)
    listing = read_list(TABLE, found, request)
    labels = {Broadcast.DRAFT: gettext("Draft")} | {code: label for code, (label, _tone) in words.PROGRAMME.items()}
    values = {
        "listing": listing,
        "rows": [(one, state_of(one)) for one in listing.page],
        "q": text,
        "states": [(code, label, code == state) for code, label in labels.items()],
        "can_edit": actor_of(request).can(EDIT),
        "campaigns": queries.visible_campaigns(scope).exists(),
    }
    return render(request, "console/campaigns/broadcasts.html", values)


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def new(request: HttpRequest) -> HttpResponse:
    """Compose a new broadcast."""
    if request.method == "GET":
        draft = Draft(
            campaign=request.GET.get("campaign", ""), audience=request.GET.get("audience") or _only_audience(request)
        )
        day = request.GET.get("day", "")
        draft.slot = _after_quiet_hours()
        if day:  # from the calendar; mid-morning is where a message of a shop usually lies
            draft.when, draft.slot = "later", f"{day} 10:00"
        return _page(request, draft, None)
    return _keep(request, None)


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def edit(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Change a broadcast that is not confirmed."""
    broadcast = broadcast_or_404(request, public_id)
    if broadcast.programme is not None:
        return redirect("campaigns:progress", broadcast.public_id)
    return _page(request, _from(broadcast), broadcast) if request.method == "GET" else _keep(request, broadcast)


@require_POST
@needs(EDIT)
def discard(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Throw a draft away."""
    broadcast = broadcast_or_404(request, public_id)
    try:
        services.discard(actor_of(request), broadcast)
    except CampaignError as refused:
        messages.error(request, words.sentence(refused.problems[0]))
        return redirect("campaigns:broadcast", broadcast.public_id)
    messages.success(request, gettext("The draft is gone."))
    return redirect("campaigns:detail", broadcast.campaign.public_id)


@require_POST
@needs(EDIT)
def preview(request: HttpRequest) -> HttpResponse:
    """The live part: phone, byte counts and what is wrong, while somebody types."""
    return render(request, "console/campaigns/preview.html", _preview(request, read(request)))


@require_POST
@needs(EDIT)
def take_pictures(request: HttpRequest, number: int) -> HttpResponse:
    """Pictures were chosen for text `number`, or one was dropped: they are taken at once, and the answer is that text's
    attachments and the preview."""
    draft = read(request)
    if not 1 <= number <= len(draft.variants):
        raise Http404
    node = _node(request, draft)
    if node is not None:
        take_uploads(request, draft, node, only=number)
    values = _preview(request, draft)
    return render(request, "console/campaigns/pictures_taken.html", values | {"text": values["texts"][number - 1]})


@require_GET
@needs(VIEW)
@cache_control(private=True, max_age=86_400, immutable=True)
def picture(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The thumbnail of a picture."""
    found = pictures.visible(actor_of(request).scope(VIEW)).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return HttpResponse(bytes(found.thumbnail), content_type="image/jpeg")


def _keep(request: HttpRequest, broadcast: Broadcast | None) -> HttpResponse:
    draft = read(request)
    do = request.POST.get("do", "")
    node = _node(request, draft)
    if node is not None:
        take_uploads(request, draft, node)
    if do.startswith(("drop_", "remove_text_")):
        return _page(request, draft, broadcast)
    if do == "add_text" and len(draft.variants) < MAX_VARIANTS:
        draft.variants.append(blank())
        draft.design = Broadcast.CLUSTER if draft.design == Broadcast.SINGLE else draft.design
        return _page(request, draft, broadcast)
    return _save(request, draft, broadcast)


def _save(request: HttpRequest, draft: Draft, broadcast: Broadcast | None) -> HttpResponse:
    composition = _composition(request, draft)
    campaign = broadcast.campaign if broadcast else _campaign(request, draft)
    if draft.problems or composition is None or campaign is None:
        return _page(request, draft, broadcast, status=422)
    try:
        saved = services.save_broadcast(actor_of(request), campaign, composition, broadcast)
    except CampaignError as refused:
        draft.problems += refused.problems
        return _page(request, draft, broadcast, status=422)
    draft.problems += services.check(saved)
    if request.POST.get("do") == "save":
        messages.success(request, gettext("Saved as a draft."))
        return redirect("campaigns:edit_broadcast", saved.public_id)
    if draft.problems:
        return _page(request, draft, saved, status=422)
    for problem in make_split(actor_of(request), saved):
        messages.error(request, problem)
    return redirect("campaigns:split", saved.public_id)


def _page(request: HttpRequest, draft: Draft, broadcast: Broadcast | None, status: int = 200) -> HttpResponse:
    scope = actor_of(request).scope(EDIT)
    values = _preview(request, draft) | {
        "broadcast": broadcast,
        "campaigns": [
            one
            for one in queries.visible_campaigns(scope).filter(state=Campaign.OPEN).order_by("-id")[:_CHOICES]
            if may(request, EDIT, one)
        ],
        "audiences": audiences.visible(actor_of(request).scope("audiences:view")).order_by("name")[:_CHOICES],
        "more_texts": len(draft.variants) < MAX_VARIANTS,
    }
    return render(request, "console/campaigns/composer.html", values, status=status)


def _preview(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    limits = rules_of(CHANNEL)
    seen = actor_of(request).scope("audiences:view")
    audience = _audience(draft, seen)
    problems = draft.problems or [
        problem
        for problem in check_variants(CHANNEL, draft.variants, draft.design, services.LINK_BYTES)
        if problem.code != "text_missing"
    ]
    slot = _slot(draft) if draft.when == "later" else clock.now()
    errors = words.by_field(problems)
    return {
        "draft": draft,
        "errors": errors,
        "limits": limits,
        "audience": audience,
        "texts": [shown(number, variant, errors) for number, variant in enumerate(draft.variants, start=1)],
        "link": EXAMPLE_LINK,
        "quiet_until": quiet(slot, draft.message_class) if slot else None,
    }


def _only_audience(request: HttpRequest) -> str:
    """Where there is but one, it is meant; else nobody may send to the wrong one by forgetting to choose."""
    two = audiences.visible(actor_of(request).scope("audiences:view"))[:2]
    return str(two[0].public_id) if len(two) == 1 else ""


def _audience(draft: Draft, scope: Any) -> Audience | None:
    try:
        return audiences.visible(scope).filter(public_id=UUID(draft.audience)).first()
    except ValueError:
        return None


def _campaign(request: HttpRequest, draft: Draft) -> Campaign | None:
    try:
        scope = actor_of(request).scope(VIEW)
        found = queries.visible_campaigns(scope).filter(public_id=UUID(draft.campaign), state=Campaign.OPEN).first()
    except ValueError:
        found = None
    if found is None:
        draft.problems.append(Problem("campaign", "required"))
    return found


def _node(request: HttpRequest, draft: Draft) -> OrgNode | None:
    """Where new pictures belong: the campaign's part of the organisation, else the actor's outermost one."""
    scope = actor_of(request).own_scope(EDIT)
    try:
        campaign = queries.visible_campaigns(scope).filter(public_id=UUID(draft.campaign)).first()
    except ValueError:
        campaign = None
    if campaign is not None and scope.covers(campaign.org_node.path):
        return campaign.org_node
    return scope.org_nodes().order_by("path").first()


def _from(broadcast: Broadcast) -> Draft:
    local = broadcast.slot_at.astimezone(clock.zone()) if broadcast.slot_at else None
    return Draft(
        name=broadcast.name,
        campaign=str(broadcast.campaign.public_id),
        audience=str(broadcast.audience.public_id),
        message_class=broadcast.message_class,
        target_url=broadcast.target_url,
        design=broadcast.design,
        control=f"{broadcast.control_bp / 100:g}",
        when="later" if local else "now",
        slot=f"{local:%Y-%m-%d %H:%M}" if local else _after_quiet_hours(),
        confirm_days=str(broadcast.confirm_days),
        window_days=str(broadcast.window_days),
        replan_after_quiet=broadcast.replan_after_quiet,
        variants=[blank() | variant for variant in broadcast.variants] or [blank()],
    )


def _composition(request: HttpRequest, draft: Draft) -> services.Composition | None:
    """The draft with numbers and times read; what cannot be read becomes a problem."""
    audience = _audience(draft, actor_of(request).scope("audiences:view"))
    if audience is None:
        draft.problems.append(Problem("audience", "required"))
    control = _whole(draft, "control", draft.control, 0, 50, scale=100)
    confirm_days = _whole(draft, "confirm_days", draft.confirm_days, 1, 14)
    window_days = _whole(draft, "window_days", draft.window_days, 1, 90)
    slot = _slot(draft) if draft.when == "later" else None
    if draft.when == "later" and slot is None:
        draft.problems.append(Problem("slot_at", "date"))
    if draft.message_class not in {"marketing", "service"}:
        draft.message_class = "marketing"
    if draft.design not in {Broadcast.SINGLE, Broadcast.CLUSTER, Broadcast.PERSON}:
        draft.design = Broadcast.SINGLE
    if draft.problems or audience is None or len(draft.name) > 80 or len(draft.target_url) > 2048:
        return None
    return services.Composition(
        name=draft.name,
        audience_id=audience.pk,
        variants=draft.variants,
        target_url=draft.target_url,
        design=draft.design,
        message_class=draft.message_class,
        control_bp=control,
        slot_at=slot,
        confirm_days=confirm_days,
        window_days=window_days,
        replan_after_quiet=draft.replan_after_quiet,
    )


def _whole(draft: Draft, name: str, text: str, low: int, high: int, *, scale: int = 1) -> int:
    try:
        value = round(float(text) * scale)
    except (ValueError, OverflowError):
        value = -1
    if not low * scale <= value <= high * scale:
        draft.problems.append(Problem(name, "out_of_range", {"low": low, "high": high}))
        return 0
    return value


def _after_quiet_hours() -> str:
    """What to propose when somebody chooses a time while nothing may leave now; nothing by day."""
    until = quiet(clock.now(), "marketing")
    return f"{until.astimezone(clock.zone()):%Y-%m-%d %H:%M}" if until else ""


def _slot(draft: Draft) -> datetime | None:
    try:
        return datetime.fromisoformat(iso_moment(draft.slot)).replace(tzinfo=clock.zone())
    except ValueError:
        return None
