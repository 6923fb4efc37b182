"""The organisation: its places, whose they are, and who works there."""

from __future__ import annotations

from django import forms
from django.contrib import messages
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
from hetang.platform import organisation
from hetang.platform.access import actor_of, needs
from hetang.platform.models import Grant, OrgNode
from hetang.platform.organisation import PlaceRefused

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


@require_GET
@needs("users:view")
def place_list(request: HttpRequest) -> HttpResponse:
    """The tree, page by page, in the actor's part of it."""
    actor = actor_of(request)
    places = actor.scope("users:view").org_nodes()
    text = request.GET.get("q", "").strip()
    if text:
        places = places.filter(name__icontains=text)
    page = keyset(places, ("path",), request, size=100)
    people = dict(
        Grant.objects.filter(org_node__in=page.rows).values_list("org_node").annotate(n=Count("user", distinct=True))
    )
    values = {
        "page": page,
        "rows": [
            (node, place_name(node), "　" * (node.path.count(".") - 1), KINDS[node.kind], people.get(node.pk, 0))
            for node in page
        ],
        "q": text,
        "may_change": actor.scope("users:manage").everything,
        "tabs": tabs("organisation", actor),
    }
    return render(request, "console/settings/organisation.html", values)


@needs("users:manage")
def place_edit(request: HttpRequest, node_id: int) -> HttpResponse:
    """Rename a place, or say that it is another company's."""
    actor = actor_of(request)
    node = get_object_or_404(actor.scope("users:manage").org_nodes(), pk=node_id)
    form = PlaceForm(request.POST or None, initial={"name": node.name, "legal_entity": node.legal_entity})
    if request.method == "POST" and form.is_valid():
        try:
            organisation.change_place(actor, node, **form.cleaned_data)
        except PlaceRefused as refused:
            form.add_error(None, str(REFUSALS[refused.code]))
        else:
            messages.success(request, _("Saved."))
            return redirect("settings:organisation")
    values = {"form": form, "node": node, "name": place_name(node)}
    return render(request, "console/settings/place.html", values, status=422 if form.errors else 200)
