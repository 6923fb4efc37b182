"""The catalogue of tags: groups, tags, how many people carry each."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.console.paging import Count
from hetang.customers import services
from hetang.customers.errors import DuplicateName
from hetang.customers.models import Tag, TagGroup
from hetang.platform import audit
from hetang.platform.access import actor_of, needs

_CAP = 10_000


class GroupForm(forms.Form):
    """A new group."""

    name = forms.CharField(label=gettext_lazy("Name of the group"), max_length=30)
    exclusive = forms.BooleanField(
        label=gettext_lazy("Only one of its tags per customer"),
        required=False,
        help_text=gettext_lazy("A newer tag then replaces the older one."),
    )


class TagForm(forms.Form):
    """A new tag in a group."""

    group = forms.ModelChoiceField(queryset=TagGroup.objects.order_by("position", "id"))
    name = forms.CharField(label=gettext_lazy("Name of the tag"), max_length=30)


@dataclass(frozen=True)
class Group:
    """A group with its tags and how many people carry each."""

    group: TagGroup
    tags: list[tuple[Tag, Count]]


@require_GET
@needs("customers:view")
def tag_list(request: HttpRequest) -> HttpResponse:
    """All groups and their tags."""
    counts = _carriers()
    groups = [
        Group(group, [(tag, counts[tag.pk]) for tag in group.tags.all() if tag.archived_at is None])
        for group in TagGroup.objects.prefetch_related("tags").order_by("position", "id")
    ]
    may_change = actor_of(request).scope("audiences:edit").everything
    values = {"groups": groups, "form": GroupForm(), "may_change": may_change}
    return render(request, "console/customers/tags.html", values)


@require_POST
@needs("audiences:edit", whole_brand=True)
def group_new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    form = GroupForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the group a name of at most 30 characters."))
        return redirect("customers:tags")
    try:
        with transaction.atomic():
            group = services.create_group(**form.cleaned_data)
            audit.record(actor_of(request), "tag_group.created", "tag_group", group.pk, form.cleaned_data)
    except DuplicateName as clash:
        messages.error(request, _("There is a group “%(name)s” already.") % {"name": clash})
    return redirect("customers:tags")


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_new(request: HttpRequest) -> HttpResponse:
    """Make a tag."""
    form = TagForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the tag a name of at most 30 characters."))
        return redirect("customers:tags")
    group, name = form.cleaned_data["group"], form.cleaned_data["name"]
    try:
        with transaction.atomic():
            tag = services.create_tag(group, name)
            changes = {"group": group.name, "name": name, "code": tag.code}
            audit.record(actor_of(request), "tag.created", "tag", tag.pk, changes)
    except DuplicateName:
        messages.error(request, _("The group has a tag “%(name)s” already.") % {"name": name})
    return redirect("customers:tags")


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_rename(request: HttpRequest, tag_id: int) -> HttpResponse:
    """Give a tag another name; rules and history keep working, they go by its code."""
    tag = get_object_or_404(Tag, pk=tag_id)
    name = request.POST.get("name", "").strip()[:30]
    if not name:
        messages.error(request, _("Give the tag a name of at most 30 characters."))
        return redirect("customers:tags")
    try:
        with transaction.atomic():
            services.rename_tag(tag, name)
            audit.record(actor_of(request), "tag.renamed", "tag", tag.pk, {"name": [tag.name, name]})
    except DuplicateName:
        messages.error(request, _("The group has a tag “%(name)s” already.") % {"name": name})
    return redirect("customers:tags")


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_archive(request: HttpRequest, tag_id: int) -> HttpResponse:
    """Take a tag out of use."""
    tag = get_object_or_404(Tag, pk=tag_id)
    with transaction.atomic():
        if services.archive_tag(tag):
            audit.record(actor_of(request), "tag.archived", "tag", tag.pk, {"name": tag.name})
    messages.success(request, _("“%(name)s” is archived.") % {"name": tag.name})
    return redirect("customers:tags")


def _carriers() -> dict[int, Count]:
    """How many people carry each tag, counted no further than 10,000 a tag."""
    with connection.cursor() as cursor:
        cursor.execute(
            'select t.id, (select count(*) from (select 1 from customers_customertag c where c.tag_id = t.id and c."on"'
            " limit %s) counted) from customers_tag t where t.archived_at is null",
            [_CAP + 1],
        )
        return {tag: Count(min(n, _CAP), n > _CAP) for tag, n in cursor.fetchall()}
