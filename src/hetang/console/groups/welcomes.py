"""Welcome templates of group chats: make, change, remove, say which groups greet with which, ask their owners."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.communities.models import GroupChat
from hetang.connectors.wecom import group_welcomes, welcome_rules
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import GroupWelcome, GroupWelcomeUse
from hetang.console.groups.words import KINDS
from hetang.console.paging import keyset
from hetang.console.settings.tabs import tabs
from hetang.console.settings.welcome_content import ContentForm, at_most, enclosed, initial_of
from hetang.platform import files
from hetang.platform.access import actor_of, needs
from hetang.platform.models import StoredFile
from hetang.resources.models import Store

EDIT = "settings:edit"
_TEMPLATES_FULL = 41055


class GroupWelcomeForm(ContentForm):
    """What new members of a group read."""

    field_order = ("name", "text", *ContentForm.base_fields, "tell_owners")

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        validators=[at_most(group_welcomes.TEXT_BYTES)],
        help_text=gettext_lazy("WeCom puts the new member's nickname where %NICKNAME% stands."),
    )
    tell_owners = forms.BooleanField(
        label=gettext_lazy("WeCom tells the owners that there is a new welcome"), required=False, initial=True
    )

    def __init__(self, *args: Any, welcome: GroupWelcome | None = None, **kwargs: Any) -> None:
        super().__init__(*args, kept=welcome, **kwargs)
        self._welcome = welcome
        if welcome is not None:
            del self.fields["tell_owners"]

    def clean(self) -> dict[str, Any]:
        """Text and at most one other thing; something must be said."""
        said = super().clean()
        known = self._welcome
        picture = said.get("picture") or (known and known.picture_url and not said.get("without_picture"))
        others = [bool(said.get("link_url")), bool(picture), self.has_mini(said)]
        others += [self.holds(name, said) for name in ("file", "video")]
        if sum(others) > 1:
            self.add_error(
                None, _("WeCom sends the text and one other thing: picture, link, card, file or video. Keep one.")
            )
        if not said.get("text") and not any(others):
            self.add_error("text", _("Say something: a text, a link, a picture, a card, a file or a video."))
        return said


@require_GET
@needs(EDIT)
def welcome_list(request: HttpRequest) -> HttpResponse:
    """All templates with how many groups greet with each."""
    found = list(GroupWelcome.objects.select_related("file", "video").order_by("name", "id"))
    counts = group_welcomes.counts_of(found)
    values = {
        "rows": [(one, counts.get(one.pk, {})) for one in found],
        "most": group_welcomes.MOST,
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/groups/welcomes.html", values)


@require_http_methods(["GET", "POST"])
@needs(EDIT)
def welcome_edit(request: HttpRequest, public_id: UUID | None = None) -> HttpResponse:
    """One template: make it or change it, and the groups that should greet with it."""
    rows = GroupWelcome.objects.select_related("app__corp", "mini_picture", "video", "file")
    welcome = get_object_or_404(rows, public_id=public_id) if public_id else None
    form = GroupWelcomeForm(
        request.POST or None, request.FILES or None, welcome=welcome, initial=_initial(welcome) if welcome else None
    )
    if request.method == "POST" and form.is_valid():
        problem, saved = _save(request, form, welcome)
        if not problem and saved is not None:
            messages.success(request, _("Saved. Each owner sets it in the client."))
            return redirect("groups:welcome", saved.public_id)
        form.add_error(None, problem)
    values: dict[str, Any] = {"form": form, "welcome": welcome}
    if welcome is not None:
        uses = GroupWelcomeUse.objects.filter(welcome=welcome).select_related("group__owner", "group__store")
        values |= {
            "page": keyset(uses, ("id",), request),
            "counts": group_welcomes.counts_of([welcome]).get(welcome.pk, {}),
            "kinds": [(code, name) for code, name in KINDS.items() if code],
            "stores": Store.objects.filter(group_chats__dissolved_at=None).distinct().order_by("name"),
        }
    return render(request, "console/groups/welcome.html", values, status=422 if form.errors else 200)


@require_POST
@needs(EDIT)
def welcome_remove(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Delete it at WeCom and here."""
    welcome = get_object_or_404(
        GroupWelcome.objects.select_related("app__corp", "mini_picture", "video", "file"), public_id=public_id
    )
    try:
        group_welcomes.remove(actor_of(request), welcome)
    except (NotConnected, NotSent, Unanswered, WeComError) as problem:
        messages.error(request, _("WeCom does not delete it now: %(why)s") % {"why": problem})
        return redirect("groups:welcome", public_id)
    messages.success(request, _("Removed: “%(name)s”.") % {"name": welcome.name})
    return redirect("groups:welcomes")


@require_POST
@needs(EDIT)
def welcome_give(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Let the groups of a kind, of a store, or all greet with it."""
    welcome = get_object_or_404(GroupWelcome, public_id=public_id)
    groups = GroupChat.objects.all()
    kind, store = request.POST.get("kind", ""), request.POST.get("store", "")
    if kind in KINDS and kind:
        groups = groups.filter(kind=kind)
    if store:
        groups = groups.filter(store__code=store)
    count = group_welcomes.give(actor_of(request), welcome, groups)
    said = ngettext("%(n)s group is to greet with it.", "%(n)s groups are to greet with it.", count)
    messages.success(request, said % {"n": count})
    return redirect("groups:welcome", public_id)


@require_POST
@needs(EDIT)
def welcome_ask(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask the owners whether they have set it."""
    welcome = get_object_or_404(GroupWelcome.objects.select_related("app__corp"), public_id=public_id)
    try:
        count = group_welcomes.ask_owners(actor_of(request), welcome)
    except (NotConnected, NotSent, Unanswered, WeComError) as problem:
        messages.error(request, _("WeCom does not take the message now: %(why)s") % {"why": problem})
    else:
        said = ngettext("%(n)s owner is asked.", "%(n)s owners are asked.", count) % {"n": count}
        messages.success(request, said if count else _("All of them have answered, or were asked within a day."))
    return redirect("groups:welcome", public_id)


def _initial(welcome: GroupWelcome) -> dict[str, Any]:
    return {
        "name": welcome.name,
        "text": welcome.text,
        "link_title": welcome.link.get("title", ""),
        "link_url": welcome.link.get("url", ""),
        "link_desc": welcome.link.get("desc", ""),
        **initial_of(welcome),
    }


def _save(
    request: HttpRequest, form: GroupWelcomeForm, welcome: GroupWelcome | None
) -> tuple[str, GroupWelcome | None]:
    """What is wrong, if something is, and the template."""
    stored: list[StoredFile] = []
    try:
        return "", _saved(request, form, welcome, stored)
    except NotConnected:
        problem = _("Connect WeCom first: the template is made there.")
    except Unanswered:
        problem = _("WeCom gave no answer: look in its console whether the template is there before you repeat it.")
    except WeComError as refused:
        if refused.code == _TEMPLATES_FULL:
            problem = _("WeCom holds 100 templates at most. Remove one first.")
        else:
            problem = _("WeCom does not take it: %(why)s") % {"why": refused}
    except NotSent as away:
        problem = _("WeCom does not take it: %(why)s") % {"why": away}
    for file in stored:
        held = Q(file=file) | Q(video=file) | Q(mini_picture=file)
        if not GroupWelcome.objects.filter(held).exists():
            files.remove(file)
    return problem, None


def _saved(
    request: HttpRequest, form: GroupWelcomeForm, welcome: GroupWelcome | None, stored: list[StoredFile]
) -> GroupWelcome:
    """Give the picture to WeCom, keep the files (noted in `stored`), make or change the template."""
    said = form.cleaned_data
    picture: tuple[str, str] | None = ("", "") if said.get("without_picture") else None
    if (upload := said.get("picture")) is not None:
        picture = (welcome_rules.hand_over_picture(upload.read(), upload.name or "picture"), upload.name or "")
    link = {"title": said["link_title"], "url": said["link_url"], "desc": said["link_desc"]}
    words = group_welcomes.Said(
        name=said["name"],
        text=said["text"],
        link=link if said["link_url"] else {},
        picture=picture,
        enclosed=enclosed(form, stored),
        tell_owners=bool(said.get("tell_owners")),
    )
    if welcome is None:
        return group_welcomes.make(actor_of(request), words)
    group_welcomes.change(actor_of(request), welcome, words)
    return welcome
