"""Automatic tags: made with the audience that keeps them, and stopped."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from hetang.audiences import automatic, queries
from hetang.audiences.errors import AudienceError, TagInUse
from hetang.audiences.models import Audience
from hetang.customers.errors import DuplicateName, GroupExclusive
from hetang.customers.models import Tag, TagGroup
from hetang.platform.access import Actor, actor_of, needs


class AutomaticForm(forms.Form):
    """A new tag that an audience keeps."""

    name = forms.CharField(label=gettext_lazy("Name of the tag"), max_length=30)
    group = forms.ModelChoiceField(
        label=gettext_lazy("Tag group"),
        queryset=TagGroup.objects.filter(exclusive=False).order_by("position", "id"),
        empty_label=None,
    )
    audience = forms.ModelChoiceField(
        label=gettext_lazy("Audience that keeps it"),
        queryset=Audience.objects.none(),
        empty_label="–",
        help_text=gettext_lazy(
            "Whoever is in it wears the tag. It is refreshed every minute unless it has a schedule."
        ),
    )
    stay_days = forms.IntegerField(
        label=gettext_lazy("Days that it stays on after leaving"),
        min_value=0,
        max_value=automatic.MAX_STAY_DAYS,
        initial=0,
        required=False,
    )

    def __init__(self, actor: Actor, data: Any = None) -> None:
        super().__init__(data, auto_id="id_automatic_%s")
        seen = queries.visible(actor.scope("audiences:view")).filter(org_node__parent=None)
        self.fields["audience"].queryset = seen.order_by("name")  # type: ignore[attr-defined]
        self.fields["group"].label_from_instance = _name  # type: ignore[attr-defined]
        self.fields["audience"].label_from_instance = _name  # type: ignore[attr-defined]


def _name(thing: Any) -> str:
    return str(thing.name)


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_automatic(request: HttpRequest) -> HttpResponse:
    """Make a tag that an audience keeps."""
    actor = actor_of(request)
    form = AutomaticForm(actor, request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a name, a group and the audience that keeps the tag."))
        return redirect("customers:tags")
    said = form.cleaned_data
    try:
        automatic.create(
            actor,
            name=said["name"],
            group=said["group"],
            audience=said["audience"],
            stay_days=said["stay_days"] or 0,
        )
    except DuplicateName:
        messages.error(request, _("The group has a tag “%(name)s” already.") % {"name": said["name"]})
    except (GroupExclusive, AudienceError):
        messages.error(request, _("This audience or group cannot keep a tag."))
    else:
        messages.success(request, _("“%(name)s” is put on within a minute or so.") % {"name": said["name"]})
    return redirect("customers:tags")


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_stop(request: HttpRequest, tag_id: int) -> HttpResponse:
    """Take an automatic tag off everybody and out of use."""
    tag = get_object_or_404(Tag, pk=tag_id, kept__isnull=False, archived_at=None)
    try:
        automatic.stop(actor_of(request), tag)
    except TagInUse as used:
        names = ", ".join(used.names)
        messages.error(
            request, _("Audiences ask for this tag: %(names)s. Change their rules first.") % {"names": names}
        )
    else:
        messages.success(request, _("“%(name)s” is off everybody and archived.") % {"name": tag.name})
    return redirect("customers:tags")
