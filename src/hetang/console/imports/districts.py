"""The brand's own list of districts: looked at, corrected by hand, and taken from."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences.queries import naming_district
from hetang.console.imports.tabs import tabs
from hetang.console.paging import keyset
from hetang.console.settings.organisation import MISPLACED, PositionForm
from hetang.imports.queries import last_done
from hetang.imports.targets import DISTRICTS
from hetang.platform import positions
from hetang.platform.access import actor_of, needs
from hetang.resources import queries, services
from hetang.resources.errors import PositionRefused
from hetang.resources.models import District

_MISPLACED: dict[str, tuple[str, str | Promise]] = {
    **MISPLACED,
    "null_island": (
        "latitude",
        gettext_lazy("0, 0 is no district's centre. Leave both empty if it is not known."),
    ),
    "outside_country": (
        "latitude",
        gettext_lazy("This lies outside of the countries in which you have stores. Check the numbers."),
    ),
    "far_from_city": (
        "latitude",
        gettext_lazy("This is %(km)s km from the nearest other district of %(city)s. Check the numbers, and the city."),
    ),
}
_MAY_BE = ("outside_country", "far_from_city")  # what somebody may insist on


class DistrictForm(PositionForm):
    """What a district is called, its city, and its centre."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    parent = forms.CharField(label=gettext_lazy("City"), max_length=120, required=False)
    sure = forms.BooleanField(label=gettext_lazy("The centre is really there"), required=False)
    field_order = ("name", "parent", "latitude", "longitude", "datum", "sure")


@require_GET
@needs("imports:run")
def district_list(request: HttpRequest) -> HttpResponse:
    """The list, page by page, with what its last import was."""
    asked = request.GET.dict()
    page = keyset(queries.districts(asked), ("parent", "name", "id"), request)
    number, without = queries.district_figures()
    chosen = {name: asked[name] for name in ("q", "city") if asked.get(name)}
    values = {
        "page": page,
        "rows": [(one, _centre(one)) for one in page],
        "number": number,
        "without": without,
        "cities": queries.cities(),
        "chosen": chosen,
        "export": urlencode(chosen),
        "last": last_done(DISTRICTS),
        "tabs": tabs("districts"),
    }
    return render(request, "console/imports/districts.html", values)


@needs("imports:run")
def district_edit(request: HttpRequest, district_id: int) -> HttpResponse:
    """Correct one district, seeing which audiences ask for it."""
    district = get_object_or_404(District, pk=district_id)
    now = {name: getattr(district, name) for name in DistrictForm.field_order if name != "sure"}
    form = DistrictForm(request.POST or None, initial=now)
    asks = bool(request.POST.get("sure"))
    if request.method == "POST" and form.is_valid():
        try:
            if not services.change_district(actor_of(request), district, **form.cleaned_data):
                raise Http404
        except PositionRefused as refused:
            field, said = _MISPLACED[refused.code]
            asks = refused.code in _MAY_BE
            form.add_error(field, str(said) % {"km": refused.km, "city": form.cleaned_data["parent"]})
        else:
            messages.success(request, _("Saved."))
            return redirect("imports:districts")
    if not asks:
        del form.fields["sure"]
    city = district.parent if queries.is_last_of_its_city(district) else ""
    values = {
        "form": form,
        "district": district,
        "asking": naming_district(district.code, city),
        "last_of_city": city,
    }
    return render(request, "console/imports/district.html", values, status=422 if form.errors else 200)


@require_POST
@needs("imports:run")
def district_delete(request: HttpRequest, district_id: int) -> HttpResponse:
    """Take one off the list."""
    district = get_object_or_404(District, pk=district_id)
    services.delete_district(actor_of(request), district)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": district.name})
    return redirect("imports:districts")


def _centre(district: District) -> tuple[str, str] | None:
    """The centre as it was given, and its datum."""
    if district.latitude is None:
        return None
    return f"{district.latitude:f}, {district.longitude:f}", positions.NAMES.get(district.datum, "")
