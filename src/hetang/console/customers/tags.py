"""The catalogue of tags: groups, tags, how many people carry each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import queries as audiences
from hetang.audiences.automatic import Keeper, keepers
from hetang.audiences.models import Audience
from hetang.audiences.naming import in_use
from hetang.audiences.rules import named_in
from hetang.connectors.wecom import tag_directions
from hetang.connectors.wecom.models import TagDirection
from hetang.connectors.wecom.tag_directions import Standing
from hetang.console.customers.automatic_tags import AutomaticForm
from hetang.console.customers.lists import tag_choices
from hetang.console.customers.tag_wecom import Said, Text, badge_of
from hetang.console.paging import Count
from hetang.customers import services
from hetang.customers.errors import DuplicateName
from hetang.customers.kept import NOT_KEPT
from hetang.customers.models import KeptTag, Tag, TagGroup
from hetang.platform import audit
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from hetang.platform.models import User

_CAP = 10_000


class GroupForm(forms.Form):
    """A new group."""

    name = forms.CharField(label=gettext_lazy("Name of the group"), max_length=30)
    exclusive = forms.BooleanField(
        label=gettext_lazy("Only one of its tags per customer"),
        required=False,
        help_text=gettext_lazy("A newer tag then replaces the older one."),
    )


class OwnedForm(forms.Form):
    """A group's name, and who answers for it."""

    name = forms.CharField(label=gettext_lazy("Name of the group"), max_length=30)
    owner = forms.ModelChoiceField(
        label=gettext_lazy("Owner"),
        queryset=User.objects.filter(is_active=True).order_by("username"),
        required=False,
        help_text=gettext_lazy("Who answers for what the tags of this group mean."),
    )


class TagForm(forms.Form):
    """A new tag in a group."""

    group = forms.ModelChoiceField(queryset=TagGroup.objects.order_by("position", "id"))
    name = forms.CharField(label=gettext_lazy("Name of the tag"), max_length=30)


@dataclass(frozen=True)
class Row:
    """A tag as the page shows it: how many wear it, what keeps it, which audiences ask for it (as far as the actor sees
    them) and how many others do, and which tags those audiences keep."""

    tag: Tag
    count: Count
    keeper: Keeper | None
    uses: list[Audience]
    hidden: int
    keeps: list[str]

    @property
    def more(self) -> int:
        """How many users are not named."""
        return max(len(self.uses) - 3, 0) + self.hidden

    @property
    def unused(self) -> bool:
        """Whether no rule asks for it."""
        return not self.uses and not self.hidden


@dataclass(frozen=True)
class Group:
    """A group with its tags. `wecom`: its direction and its state there; None where no corp is set up."""

    group: TagGroup
    rows: list[Row]
    form: OwnedForm
    wecom: tuple[Text, Said] | None
    goes_out: bool


SHOWN = ("", "unused", "automatic")


@require_GET
@needs("customers:view")
def tag_list(request: HttpRequest) -> HttpResponse:
    """All groups and their tags; `show` limits them to those that no rule asks for, or that rules keep."""
    actor = actor_of(request)
    show = request.GET.get("show", "") if request.GET.get("show", "") in SHOWN else ""
    found = _rows(actor)
    standings = tag_directions.standings(found)
    groups = [_group(group, rows, show, standings.get(group.pk)) for group, rows in found.items()]
    may_change = actor.scope("audiences:edit").everything
    labels = {"": _("All"), "unused": _("Used by no rule"), "automatic": _("Automatic")}
    values = {
        "groups": [one for one in groups if one.rows or not show],
        "form": GroupForm(),
        "automatic": AutomaticForm(actor) if may_change else None,
        "may_change": may_change,
        "may_merge": may_change and actor.scope("customers:edit").everything,
        "choices": tag_choices(by_hand=True) if may_change else [],
        "tabs": [{"label": label, "url": f"?show={code}", "current": code == show} for code, label in labels.items()],
        "show": show,
    }
    return render(request, "console/customers/tags.html", values)


def _group(group: TagGroup, rows: list[Row], show: str, standing: Standing | None) -> Group:
    out = standing is not None and standing.direction in TagDirection.GOES_OUT
    return Group(group, [row for row in rows if _shown(row, show)], _owned(group), badge_of(standing), out)


def _owned(group: TagGroup) -> OwnedForm:
    return OwnedForm(initial={"name": group.name, "owner": group.owner_id}, auto_id=f"id_%s_{group.pk}")


def _shown(row: Row, show: str) -> bool:
    return {"unused": row.unused, "automatic": row.keeper is not None}.get(show, True)


def _rows(actor: Actor) -> dict[TagGroup, list[Row]]:
    counts, users = _carriers(), _users()
    seen = audiences.seen_rules(actor.scope("audiences:view"))
    groups = TagGroup.objects.select_related("owner").prefetch_related("tags").order_by("position", "id")
    keeping = keepers(counts)
    found: dict[TagGroup, list[Row]] = {}
    for group in groups:
        tags = [tag for tag in group.tags.all() if tag.archived_at is None]
        found[group] = [_row(tag, counts[tag.pk], keeping.get(tag.pk), users[tag.code], seen) for tag in tags]
    return found


def _row(tag: Tag, count: Count, keeper: Keeper | None, users: list[Audience], seen: set[int]) -> Row:
    visible = [one for one in users if one.pk in seen]
    keeps = sorted({kept.tag.name for one in users for kept in one.automatic_tags.all()})
    return Row(tag, count, keeper, visible, len(users) - len(visible), keeps)


def _users() -> dict[str, list[Audience]]:
    """The audiences, and the rules of ponds, that ask for each tag, by its code."""
    found: dict[str, list[Audience]] = defaultdict(list)
    for one in in_use().prefetch_related("automatic_tags__tag"):
        for code in named_in(one.rule, "tags"):
            found[code].append(one)
    return found


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
def group_change(request: HttpRequest, group_id: int) -> HttpResponse:
    """Give a group another name or owner."""
    group = get_object_or_404(TagGroup, pk=group_id)
    form = OwnedForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the group a name of at most 30 characters."))
        return redirect("customers:tags")
    name, owner = form.cleaned_data["name"], form.cleaned_data["owner"]
    try:
        with transaction.atomic():
            services.change_group(group, name, owner)
            changes = {"name": [group.name, name], "owner": owner.username if owner else ""}
            audit.record(actor_of(request), "tag_group.changed", "tag_group", group.pk, changes)
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
    if tag_directions.named_by_wecom(tag):
        messages.error(request, _("This tag is named by WeCom. Rename it there, or choose another way for its group."))
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
    tag = get_object_or_404(Tag, NOT_KEPT, pk=tag_id)
    with transaction.atomic():
        if services.archive_tag(tag):
            audit.record(actor_of(request), "tag.archived", "tag", tag.pk, {"name": tag.name})
    messages.success(request, _("“%(name)s” is archived.") % {"name": tag.name})
    return redirect("customers:tags")


def _carriers() -> dict[int, Count]:
    """How many people carry each tag in use: exactly, by the live sets. While the engine is away, the tags that people
    put on are counted no further than 10,000."""
    tags = list(Tag.objects.filter(archived_at=None).values_list("pk", flat=True))
    try:
        sizes = audiences.tag_sizes()
    except (EngineUnavailable, ServiceError):
        return _carriers_by_rows(tags)
    return {tag: Count(sizes.get(tag, 0), more=False) for tag in tags}


def _carriers_by_rows(tags: list[int]) -> dict[int, Count]:
    kept = dict(KeptTag.objects.values_list("tag", "count"))
    with connection.cursor() as cursor:
        cursor.execute(
            'select t.id, (select count(*) from (select 1 from customers_customertag c where c.tag_id = t.id and c."on"'
            " limit %s) counted) from unnest(%s::bigint[]) as t(id)",
            [_CAP + 1, tags],
        )
        found = {tag: Count(min(n, _CAP), n > _CAP) for tag, n in cursor.fetchall()}
    return found | {tag: Count(size, more=False) for tag, size in kept.items() if tag in found}
