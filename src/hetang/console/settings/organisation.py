"""The organisation: its places, whose they are, and who works there."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET

from hetang.console.paging import keyset
from hetang.console.settings.tabs import tabs
from hetang.console.settings.users import place_name
from hetang.platform import organisation, positions
from hetang.platform.access import actor_of, needs
from hetang.platform.models import Grant, OrgNode
from hetang.platform.organisation import PlaceRefused
from hetang.resources import services as resources
from hetang.resources.errors import PositionRefused
from hetang.resources.models import Store

KINDS: dict[str, str | Promise] = {
    OrgNode.BRAND: pgettext_lazy("place", "Brand"),
    OrgNode.REGION: pgettext_lazy("place", "Region"),
    OrgNode.STORE: pgettext_lazy("place", "Store"),
    OrgNode.DEPARTMENT: pgettext_lazy("place", "Department"),
}
REFUSALS: dict[str, str | Promise] = {
    "name_missing": gettext_lazy("Give the place a name."),
    "brand_is_the_company": gettext_lazy("The brand itself is not another company's. Choose a place below it."),
}


MISPLACED: dict[str, tuple[str, str | Promise]] = {  # field, what to do
    "swapped_coordinates": (
        "latitude",
        gettext_lazy("Latitude and longitude seem to be swapped."),
    ),
    "outside_country": (
        "latitude",
        gettext_lazy("This lies outside the country of the store. Check the numbers."),
    ),
    "half_a_place": ("longitude", gettext_lazy("Fill in both coordinates, or neither.")),
    "null_island": ("latitude", gettext_lazy("0, 0 is no store's place. Leave both empty if it is not known.")),
    "out_of_range": (
        "latitude",
        gettext_lazy("A latitude lies between -90 and 90 degrees, a longitude between -180 and 180."),
    ),
    "no_datum": ("datum", gettext_lazy("Say in which system the coordinates are.")),
}


class PlaceForm(forms.Form):
    """A place's name, and whose it is."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    legal_entity = forms.CharField(
        label=gettext_lazy("Other company's name"),
        max_length=120,
        required=False,
        help_text=gettext_lazy(
            "Where a franchisee runs it: the company's name. It then holds for this place and everything below."
        ),
    )


class PositionForm(forms.Form):
    """Where a store is, and in which coordinate system that is written."""

    latitude = forms.DecimalField(label=gettext_lazy("Latitude"), max_digits=9, decimal_places=6, required=False)
    longitude = forms.DecimalField(label=gettext_lazy("Longitude"), max_digits=9, decimal_places=6, required=False)
    datum = forms.ChoiceField(
        label=gettext_lazy("Coordinate system"),
        choices=[
            ("", gettext_lazy("Not said")),
            ("gcj02", gettext_lazy("GCJ-02 (Amap, Tencent, WeChat)")),
            ("bd09", gettext_lazy("BD-09 (Baidu)")),
            ("wgs84", gettext_lazy("WGS-84 (GPS)")),
        ],
        required=False,
        help_text=gettext_lazy("The same place has other coordinates on each map, up to a kilometre apart."),
    )


@require_GET
@needs("users:view")
def place_list(request: HttpRequest) -> HttpResponse:
    """The tree, page by page, in the actor's part of it."""
    actor = actor_of(request)
    places = actor.scope("users:view").org_nodes()
    text = request.GET.get("q", "").strip()
    if text:
        places = places.filter(name__icontains=text)
    page = keyset(places.select_related("store"), ("path",), request, size=100)
    people = dict(
        Grant.objects.filter(org_node__in=page.rows).values_list("org_node").annotate(n=Count("user", distinct=True))
    )
    values = {
        "page": page,
        "rows": [
            (
                node,
                place_name(node),
                "　" * (node.path.count(".") - 1),
                KINDS[node.kind],
                people.get(node.pk, 0),
                position_of(getattr(node, "store", None)),
            )
            for node in page
        ],
        "q": text,
        "may_change": actor.scope("users:manage").everything,
        "tabs": tabs("organisation", actor),
    }
    return render(request, "console/settings/organisation.html", values)


def position_of(store: Store | None) -> str:
    """Where a store is, with the datum, as a line; empty where nobody said."""
    if store is None or store.latitude is None:
        return ""
    datum = positions.NAMES.get(store.datum) or _("coordinate system not said")
    return f"{store.latitude:f}, {store.longitude:f} · {datum}"


@needs("users:manage")
def place_edit(request: HttpRequest, node_id: int) -> HttpResponse:
    """Rename a place, say that it is another company's, or where the store is."""
    actor = actor_of(request)
    node = get_object_or_404(actor.scope("users:manage").org_nodes(), pk=node_id)
    store = Store.objects.filter(org_node=node).first()
    form = PlaceForm(request.POST or None, initial={"name": node.name, "legal_entity": node.legal_entity})
    where = _position_form(request, store)
    if request.method == "POST" and form.is_valid() and (where is None or where.is_valid()):
        try:
            with transaction.atomic():
                organisation.change_place(actor, node, **form.cleaned_data)
                if store is not None and where is not None:
                    resources.place(actor, store, **where.cleaned_data)
        except PlaceRefused as refused:
            form.add_error(None, str(REFUSALS[refused.code]))
        except PositionRefused as refused:
            field, said = MISPLACED[refused.code]
            cast(PositionForm, where).add_error(field, str(said))
        else:
            messages.success(request, _("Saved."))
            return redirect("settings:organisation")
    values = {"form": form, "where": where, "node": node, "name": place_name(node)}
    failed = bool(form.errors or (where and where.errors))
    return render(request, "console/settings/place.html", values, status=422 if failed else 200)


def _position_form(request: HttpRequest, store: Store | None) -> PositionForm | None:
    """The form of a store's position; a request that names no position leaves it as it is."""
    if store is None or (request.method == "POST" and "datum" not in request.POST):
        return None
    now = {"latitude": store.latitude, "longitude": store.longitude, "datum": store.datum}
    return PositionForm(request.POST or None, initial=now)
