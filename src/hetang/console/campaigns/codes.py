"""Codes by which people come: listed with how many by each, given a name and a campaign."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from hetang.audiences.queries import coming_by
from hetang.campaigns import codes
from hetang.campaigns.models import Campaign
from hetang.campaigns.queries import visible_campaigns
from hetang.console.campaigns.access import EDIT, VIEW
from hetang.console.forms import LongSelect
from hetang.platform import clock
from hetang.platform.access import actor_of, needs

DAYS, SHOWN = 90, 200


class CodeForm(forms.Form):
    """What a code is called, and for which campaign it is."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=codes.MAX_NAME, required=False)
    campaign = forms.ModelChoiceField(
        label=gettext_lazy("Campaign"),
        queryset=Campaign.objects.none(),
        to_field_name="public_id",
        required=False,
        empty_label=pgettext_lazy("campaign of a code", "none"),
        widget=LongSelect(),
    )

    def __init__(self, *args: Any, offered: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen: Any = self.fields["campaign"]
        chosen.queryset = offered
        chosen.label_from_instance = lambda one: one.name


class NewCodeForm(CodeForm):
    """A code that nobody has scanned yet."""

    state = forms.CharField(
        label=gettext_lazy("Channel state of the code"),
        max_length=codes.MAX_STATE,
        help_text=gettext_lazy("Exactly as it was given to WeCom when the code was made (state)."),
    )
    field_order = ("state", "name", "campaign")

    def clean_state(self) -> str:
        state = str(self.cleaned_data["state"])
        if not state.isprintable():
            raise forms.ValidationError(_("A channel state has no line breaks or tabs."))
        return state


@require_GET
@needs(VIEW, whole_brand=True)
def code_list(request: HttpRequest) -> HttpResponse:
    """The codes that most people came by in the last days, with what they are called."""
    text, campaign, unnamed = (request.GET.get(name, "").strip() for name in ("q", "campaign", "unnamed"))
    campaigns = {str(one.public_id): one for one in visible_campaigns(actor_of(request).scope(VIEW)).order_by("-id")}
    if campaign not in campaigns:
        campaign = ""
    since = clock.now() - timedelta(days=DAYS)
    found = codes.came(since, text.lower().split()[:6], campaign, bool(unnamed))
    values = {
        "rows": [(one, campaigns.get(str(one.campaign))) for one in found[:SHOWN]],
        "number": len(found),
        "shown": SHOWN,
        "days": DAYS,
        "q": text,
        "chosen": campaign,
        "unnamed": bool(unnamed),
        "campaigns": campaigns.values(),
        "filtered": bool(text or campaign or unnamed),
        "can_edit": actor_of(request).scope(EDIT).everything,
    }
    return render(request, "console/campaigns/codes.html", values)


@require_http_methods(["GET", "POST"])
@needs(EDIT, whole_brand=True)
def code_edit(request: HttpRequest) -> HttpResponse:
    """Name one code (`state`), seeing which audiences ask for its campaign."""
    known = codes.find(request.GET.get("state", ""))
    if known is None:
        raise Http404
    campaign = codes.campaign_of(known)
    now = {"name": known.name, "campaign": known.campaign}
    form = CodeForm(request.POST or None, initial=now, offered=_offered(request))
    asking = coming_by(str(known.campaign)) if campaign else []
    return _answer(request, form, {"state": known.state, "campaign": campaign, "asking": asking})


@require_http_methods(["GET", "POST"])
@needs(EDIT, whole_brand=True)
def code_new(request: HttpRequest) -> HttpResponse:
    """Name a code before anybody comes by it."""
    return _answer(request, NewCodeForm(request.POST or None, offered=_offered(request)), {"state": "", "asking": []})


def _offered(request: HttpRequest) -> Any:
    return visible_campaigns(actor_of(request).scope(EDIT)).order_by("-id")


def _answer(request: HttpRequest, form: CodeForm, values: dict[str, Any]) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        codes.describe(actor_of(request), values["state"] or said["state"], said["name"], said["campaign"])
        messages.success(request, _("Saved."))
        return redirect("campaigns:codes")
    return render(request, "console/campaigns/code.html", values | {"form": form}, status=422 if form.errors else 200)
