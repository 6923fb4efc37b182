"""Welcomes to new friends: rules in order, who gets which, and what became of the last ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences.models import Audience
from hetang.connectors.wecom import enclosures, welcome_rules
from hetang.connectors.wecom.client import default_app
from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.errors import NotConnected, NotSent, Unanswered, WeComError
from hetang.connectors.wecom.models import Welcome, WelcomeRule
from hetang.connectors.wecom.rules import TEXT_BYTES, Friend
from hetang.console.forms import LongSelect
from hetang.console.settings.tabs import tabs
from hetang.console.settings.welcome_content import ContentForm, at_most, enclosed, initial_of
from hetang.platform import clock, files
from hetang.platform.access import actor_of, needs
from hetang.platform.models import OrgNode, StoredFile
from hetang.resources.models import Staff

_STATES = {
    Welcome.SENT: gettext_lazy("Sent"),
    Welcome.NONE: gettext_lazy("No rule fits"),
    Welcome.LATE: gettext_lazy("Too late"),
    Welcome.REFUSED: gettext_lazy("Refused by WeCom"),
    Welcome.WAITING: gettext_lazy("Being sent"),
}
_TONES = {Welcome.SENT: "good", Welcome.LATE: "warn", Welcome.REFUSED: "warn"}


class WelcomeForm(ContentForm):
    """A rule: to whom it is told, and what."""

    field_order = (
        *("name", "channel_states", "org_node", "staff", "starts", "ends", "audience"),
        *("text", *ContentForm.base_fields, "enabled"),
    )

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    channel_states = forms.CharField(
        label=gettext_lazy("Channels"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("States of codes and links, one a line. Empty: all."),
    )
    org_node = forms.ModelChoiceField(
        label=gettext_lazy("Staff of"),
        queryset=OrgNode.objects.none(),
        required=False,
        empty_label=gettext_lazy("The whole brand"),
        widget=LongSelect(),
    )
    staff = forms.CharField(
        label=gettext_lazy("Only these members"),
        required=False,
        help_text=gettext_lazy("Their userids, separated by commas. Empty: all of them."),
    )
    starts = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    ends = forms.TimeField(
        label=gettext_lazy("Until"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    audience = forms.ModelChoiceField(
        label=gettext_lazy("Only people of this audience"),
        queryset=Audience.objects.none(),
        required=False,
        empty_label=gettext_lazy("All new friends"),
        widget=LongSelect(),
        help_text=gettext_lazy("Who is known already: a member who adds an adviser, for example."),
    )
    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        validators=[at_most(TEXT_BYTES)],
    )
    enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False, initial=True)

    def __init__(self, *args: Any, rule: WelcomeRule | None = None, **kwargs: Any) -> None:
        super().__init__(*args, kept=rule, **kwargs)
        self._rule = rule
        cast("forms.ModelChoiceField[OrgNode]", self.fields["org_node"]).queryset = OrgNode.objects.exclude(
            parent=None
        ).order_by("path")[:2000]
        cast("forms.ModelChoiceField[Audience]", self.fields["audience"]).queryset = Audience.objects.filter(
            archived_at=None, pond_set=None
        ).order_by("name")

    def clean(self) -> dict[str, Any]:
        """Something must be said."""
        said = super().clean()
        if (said.get("starts") is None) != (said.get("ends") is None):
            self.add_error("ends", _("Say both from when and until when, or neither."))
        others = [self.holds(name, said) for name in ("file", "video")]
        stays = self._rule is not None and self._rule.picture_url and not said.get("without_picture")
        others += [bool(said.get(name)) for name in ("text", "link_url", "picture")]
        if not (any(others) or stays or self.has_mini(said)):
            self.add_error("text", _("Say something: a text, a link, a picture, a card, a file or a video."))
        return said


@require_GET
@needs("settings:edit")
def welcome_list(request: HttpRequest) -> HttpResponse:
    """The rules in order, who gets which, and the last day's welcomes."""
    rows = list(WelcomeRule.objects.select_related("org_node", "audience").order_by("position", "id"))
    since = clock.now() - timedelta(days=1)
    counts = dict(
        Welcome.objects.filter(happened_at__gte=since)
        .values_list("state")
        .annotate(n=Count("id"))
        .values_list("state", "n")
    )
    values = {
        "rows": rows,
        "shadowed": welcome_rules.never_winning(rows),
        "counts": [(label, counts.get(state, 0), _TONES.get(state, "")) for state, label in _STATES.items()],
        "tried": _tried(request, rows),
        "tabs": tabs("wecom", actor_of(request)),
    }
    return render(request, "console/settings/welcomes.html", values)


def _tried(request: HttpRequest, rows: list[WelcomeRule]) -> dict[str, Any]:
    """Which rule somebody would get: the question as it was asked, and the answer."""
    state, userid, at = (request.GET.get(name, "").strip() for name in ("state", "staff", "at"))
    asked = "staff" in request.GET
    hour, _colon, minute = at.partition(":")
    minutes = int(hour) * 60 + int(minute) if hour.isdigit() and minute.isdigit() else 12 * 60
    node = Staff.objects.filter(userid=userid).values_list("org_node__path", flat=True).first() or ""
    enabled = [row for row in rows if row.enabled]
    found = welcome_rules.winner_among(enabled, Friend(state, userid, node, minutes % 1440)) if asked else None
    return {"asked": asked, "state": state, "staff": userid, "at": at, "rule": found, "known": bool(node)}


@needs("settings:edit")
def welcome_edit(request: HttpRequest, public_id: UUID | None = None) -> HttpResponse:
    """One rule: change it, or make it."""
    rule = get_object_or_404(WelcomeRule, public_id=public_id) if public_id else None
    form = WelcomeForm(request.POST or None, request.FILES or None, rule=rule, initial=_initial(rule))
    if request.method == "POST" and form.is_valid():
        problem = _save(request, form, rule)
        if not problem:
            messages.success(request, _("Saved. New friends get it within two seconds."))
            return redirect("settings:welcomes")
        form.add_error(None, problem)
    values = {"form": form, "rule": rule, "tabs": tabs("wecom", actor_of(request))}
    return render(request, "console/settings/welcome.html", values, status=422 if form.errors else 200)


@require_POST
@needs("settings:edit")
def welcome_move(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Earlier or later in the order."""
    rule = get_object_or_404(WelcomeRule, public_id=public_id)
    welcome_rules.move(actor_of(request), rule, up=request.POST.get("to") == "up")
    return redirect("settings:welcomes")


@require_POST
@needs("settings:edit")
def welcome_remove(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a rule away; what was sent by it stays counted."""
    rule = get_object_or_404(WelcomeRule, public_id=public_id)
    welcome_rules.remove(actor_of(request), rule)
    messages.success(request, _("Removed: “%(name)s”.") % {"name": rule.name})
    return redirect("settings:welcomes")


def _initial(rule: WelcomeRule | None) -> dict[str, Any]:
    if rule is None:
        return {}
    return {
        "name": rule.name,
        "channel_states": "\n".join(rule.channel_states),
        "org_node": rule.org_node_id,
        "staff": ", ".join(rule.staff),
        "starts": _clock(rule.from_minute),
        "ends": _clock(rule.until_minute),
        "audience": rule.audience_id,
        "text": rule.text,
        "link_title": rule.link.get("title", ""),
        "link_url": rule.link.get("url", ""),
        "link_desc": rule.link.get("desc", ""),
        "enabled": rule.enabled,
        **initial_of(rule),
    }


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def _save(request: HttpRequest, form: WelcomeForm, rule: WelcomeRule | None) -> str:
    """Give picture and files to WeCom, then write the rule. Returns what is wrong, if something is."""
    stored: list[StoredFile] = []
    try:
        picture = _picture(form.cleaned_data)
        holds = enclosed(form, stored)
        if stored:
            enclosures.hand_over(default_app(), holds)
    except NotConnected:
        problem = _("Connect WeCom first: pictures and files are given to it.")
    except (WeComError, NotSent, Unanswered) as why:
        problem = _("WeCom does not take the picture or file now: %(why)s") % {"why": why}
    else:
        welcome_rules.save(actor_of(request), rule, _said(form.cleaned_data, picture, holds))
        return ""
    for file in stored:
        files.remove(file)
    return problem


def _picture(said: dict[str, Any]) -> tuple[str, str] | None:
    """Address at WeCom and name of the picture; None leaves it as it is. Raises like `Client.call`."""
    upload = said.get("picture")
    if upload is not None:
        return welcome_rules.hand_over_picture(upload.read(), upload.name or "picture"), upload.name or ""
    return ("", "") if said.get("without_picture") else None


def _said(said: dict[str, Any], picture: tuple[str, str] | None, holds: Enclosed) -> welcome_rules.Said:
    link = {"title": said["link_title"], "url": said["link_url"], "desc": said["link_desc"]}
    return welcome_rules.Said(
        name=said["name"],
        channel_states=_lines(said["channel_states"], "\n"),
        org_node=said["org_node"],
        staff=_lines(said["staff"], ","),
        from_minute=_minutes(said["starts"]),
        until_minute=_minutes(said["ends"]),
        audience=said["audience"],
        text=said["text"],
        link=link if said["link_url"] else {},
        picture=picture,
        enclosed=holds,
        enabled=said["enabled"],
    )


def _lines(value: str, separator: str) -> list[str]:
    parts = (part.strip()[:64] for part in value.replace("，", ",").split(separator))
    return list(dict.fromkeys(part for part in parts if part))


def _minutes(value: Any) -> int | None:
    return None if value is None else value.hour * 60 + value.minute
