"""The brand's settings: its name, its colour, what it counts in, what it calls its staff."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hetang.console.first_run import CURRENCIES, CURRENCY_CHOICES
from hetang.console.settings.tabs import tabs
from hetang.platform import audit
from hetang.platform import brand as brand_cache
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.almanac.occasions import COUNTRIES
from hetang.platform.models import Brand

_FIELDS = ("name", "accent", "staff_title", "currency", "time_zone", "country")


class BrandForm(forms.Form):
    """What the brand may change. Currency and zone are fixed once orders exist (the amounts would change meaning)."""

    name = forms.CharField(label=gettext_lazy("Brand name"), max_length=80)
    accent = forms.RegexField(
        label=gettext_lazy("Accent colour"),
        regex=r"^#[0-9a-fA-F]{6}$",
        widget=forms.TextInput(attrs={"type": "color"}),
        help_text=gettext_lazy("Used for buttons and links; its contrast is corrected for light and dark."),
    )
    staff_title = forms.CharField(
        label=gettext_lazy("What staff are called"),
        max_length=20,
        required=False,
        help_text=gettext_lazy("For example adviser, 导购, 顾问 or 管家. Empty: the usual word of each language."),
    )
    currency = forms.ChoiceField(label=gettext_lazy("Currency"), choices=CURRENCY_CHOICES)
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"), help_text=gettext_lazy("Days, quiet hours and reports follow it.")
    )
    country = forms.ChoiceField(
        label=gettext_lazy("Holidays of"),
        choices=list(COUNTRIES.items()),
        required=False,
        help_text=gettext_lazy("Public holidays, festivals and shopping days in the marketing calendar."),
    )

    def __init__(self, *args: Any, fixed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("currency", "time_zone", "country") if fixed else ():
            self.fields[name].disabled = True
            self.fields[name].help_text = _("Fixed since orders are counted in it.")

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name not in zoneinfo.available_timezones():
            raise ValidationError(_("This time zone is not known. Use a name such as Asia/Shanghai."))
        return name


@needs("settings:edit")
def brand_settings(request: HttpRequest) -> HttpResponse:
    """Show and change the brand's settings."""
    row = Brand.objects.filter(id=1).first() or Brand(id=1, name="")
    initial = {field: getattr(row, field) for field in _FIELDS}
    form = BrandForm(request.POST or None, initial=initial, fixed=_has_orders())
    if request.method == "POST" and form.is_valid():
        save(actor_of(request), form.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("settings:brand")
    values = {"form": form, "tabs": tabs("brand", actor_of(request))}
    return render(request, "console/settings/brand.html", values, status=422 if form.errors else 200)


@transaction.atomic
def save(actor: Actor, values: dict[str, Any]) -> None:
    """Write the settings and an audit row of what changed."""
    row, _made = Brand.objects.select_for_update().get_or_create(id=1, defaults={"name": values["name"]})
    changes = {name: [getattr(row, name), values[name]] for name in _FIELDS if getattr(row, name) != values[name]}
    for name in changes:
        setattr(row, name, values[name])
    row.currency_digits = CURRENCIES[row.currency]
    row.save()
    audit.record(actor, "brand.changed", "brand", row.pk, changes)
    transaction.on_commit(brand_cache.forget)


def _has_orders() -> bool:
    from hetang.commerce.models import Order

    return Order.objects.exists()
