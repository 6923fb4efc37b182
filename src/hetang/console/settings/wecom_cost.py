"""What WeCom costs: measured figures beside those that the brand says itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from hetang.connectors.wecom import cost
from hetang.connectors.wecom.models import Corp, CorpCost, Skipped, SyncRun
from hetang.console.forms import DayInput
from hetang.console.settings.tabs import tabs
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.platform.models import JobRun
from hetang.platform.money import to_major, to_minor

EDIT = "settings:edit"
_YUAN = 2  # digits: WeCom charges in yuan, whatever the brand's currency
_AMOUNTS = ("fee_per_thousand", "link_price", "licence_price")


def _amount(label: Any, help_text: Any = "", required: bool = False) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, help_text=help_text, required=required, min_value=0, max_value=1_000_000, decimal_places=_YUAN
    )


class FiguresForm(forms.Form):
    """What the contract with WeCom says."""

    free_people = forms.IntegerField(
        label=gettext_lazy("People served without a fee"), min_value=0, max_value=100_000_000
    )
    fee_per_thousand = _amount(gettext_lazy("Yuan for a thousand people and year"), required=True)
    bought_people = forms.IntegerField(
        label=gettext_lazy("People bought besides"), min_value=0, max_value=1_000_000_000, required=False
    )
    bought_until = forms.DateField(label=gettext_lazy("Bought until"), required=False, widget=DayInput())
    link_price = _amount(gettext_lazy("Yuan for a customer of an acquisition link"))
    licence_price = _amount(
        gettext_lazy("Yuan for an interface licence and year"),
        gettext_lazy("Needed for apps of providers only; an app of your own needs none."),
    )
    licences = forms.IntegerField(
        label=gettext_lazy("Licences bought"), min_value=0, max_value=10_000_000, required=False
    )
    customers_per_member = forms.IntegerField(
        label=gettext_lazy("Customers that a member may have"),
        min_value=1,
        max_value=1_000_000,
        help_text=gettext_lazy("Hand-overs keep to it. WeCom gives 5,000 at first, 20,000 after an extension."),
    )


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def cost_page(request: HttpRequest) -> HttpResponse:
    """The figures; a POST keeps what is said of the contract."""
    corp = Corp.objects.filter(is_default=True).first()
    if corp is None:
        return render(request, "console/settings/wecom_cost.html", {"tabs": tabs("wecom", actor_of(request))})
    known = CorpCost.objects.filter(corp=corp).first() or CorpCost(corp=corp)
    form = FiguresForm(request.POST or None, initial=_initial(known, corp))
    if request.method == "POST" and form.is_valid():
        said = dict(form.cleaned_data)
        most = said.pop("customers_per_member")
        for name in _AMOUNTS:
            said[name] = None if said[name] is None else to_minor(said[name], _YUAN)
        cost.write_down(actor_of(request), corp, said, most)
        messages.success(request, _("Saved."))
        return redirect("settings:wecom-cost")
    newest = SyncRun.objects.filter(corp=corp).order_by("-id").first()
    unlicensed = Skipped.objects.filter(run=newest, reason="no_licence").count() if newest else 0
    found = cost.fee(known)
    values = {
        "corp": corp,
        "cost": known,
        "fee": found,
        "fee_yuan": _yuan(found.fen_a_year),
        "link_yuan": _yuan(known.link_price * known.quota_left) if known.link_price is not None else "",
        "licence_yuan": _yuan(known.licence_price * (known.licences or 0)) if known.licence_price is not None else "",
        "ends_soon": cost.ends_soon(known, clock.today()),
        "unlicensed": unlicensed,
        "job": JobRun.objects.filter(kind=cost.KIND).order_by("-id").first(),
        "form": form,
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/wecom_cost.html", values, status=422 if form.errors else 200)


@require_POST
@needs(EDIT)
def cost_count(request: HttpRequest) -> HttpResponse:
    """Count again."""
    corp = Corp.objects.filter(is_default=True).first()
    if corp is not None and not cost.begin(corp):
        messages.info(request, _("It is being counted already."))
    return redirect("settings:wecom-cost")


def _initial(known: CorpCost, corp: Corp) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(known, name) for name in cost.FIGURES}
    for name in _AMOUNTS:
        values[name] = None if values[name] is None else to_major(values[name], _YUAN)
    return {**values, "customers_per_member": corp.customers_per_member}


def _yuan(fen: int) -> str:
    return f"¥{to_major(fen, _YUAN):,.2f}"
