"""The settings of the installation: one page made from the registry, one form a group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hetang.console.settings.tabs import tabs
from hetang.operations import configured
from hetang.platform import registry
from hetang.platform import registry_values as values
from hetang.platform.access import actor_of, needs
from hetang.platform.registry import SETTINGS, Setting, Value

KEEP = "\u2022" * 6  # what a secret field shows while there is one: sent back unchanged it stays


@dataclass
class Group:
    """A part of the page: what can be set here, and what only the environment can say."""

    code: str
    title: str
    form: forms.Form | None
    told: list[dict[str, Any]] = field(default_factory=list)


class GroupForm(forms.Form):
    """The settings of one group that the console may set; those that the environment sets are shown, not asked."""

    def __init__(self, group: str, data: Any = None) -> None:
        super().__init__(data, prefix=group)
        self.settings = [one for one in SETTINGS.values() if one.group == group and one.in_console]
        for setting in self.settings:
            self.fields[_field(setting)] = _drawn(setting)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        for setting in self.settings:
            name = _field(setting)
            if name in found and not self.fields[name].disabled:
                try:
                    values.parse(setting, found[name])
                except values.BadValue as problem:
                    self.add_error(name, ValidationError(problem.zh if _chinese() else problem.en))
        return found

    def changes(self) -> dict[str, Value]:
        """What was entered, as values; secrets that were left alone are not among them."""
        found = {}
        for setting in self.settings:
            entered = self.cleaned_data[_field(setting)]
            if not self.fields[_field(setting)].disabled and not (setting.secret and entered == KEEP):
                found[setting.name] = values.parse(setting, entered)
        return found


@needs("settings:edit")
def system_settings(request: HttpRequest) -> HttpResponse:
    """Every setting with its value, its source and its meaning."""
    groups = [_group(code, None) for code in registry.GROUPS]
    return _page(request, groups, 200)


@needs("settings:edit")
def save_group(request: HttpRequest, group: str) -> HttpResponse:
    """Store the form of one group."""
    if group not in registry.GROUPS:
        raise Http404
    if request.method != "POST":
        return redirect("settings:system")
    form = GroupForm(group, request.POST)
    if not form.is_valid():
        groups = [_group(code, form if code == group else None) for code in registry.GROUPS]
        return _page(request, groups, 422)
    configured.save(actor_of(request), form.changes())
    messages.success(request, _("Saved."))
    return redirect("settings:system")


def _page(request: HttpRequest, groups: list[Group], status: int) -> HttpResponse:
    context = {"groups": groups, "tabs": tabs("system", actor_of(request)), "unknown": values.unknown()}
    return render(request, "console/settings/system.html", context, status=status)


def _group(code: str, form: GroupForm | None) -> Group:
    zh, en = registry.GROUPS[code]
    here = [one for one in SETTINGS.values() if one.group == code]
    made = form or GroupForm(code)
    told = [_told(one) for one in here if not one.in_console]
    return Group(code, zh if _chinese() else en, made if made.fields else None, told)


def _told(setting: Setting) -> dict[str, Any]:
    """A setting of the environment as the page shows it."""
    try:
        value, problem = configured.value(setting.name), ""
    except values.BadValue as bad:
        value, problem = "", bad.zh if _chinese() else bad.en
    return {
        "label": _label(setting),
        "meaning": _meaning(setting),
        "value": values.shown(setting, value),
        "decided": _decided(setting) if not problem else _("environment"),
        "env": setting.env,
        "problem": problem,
    }


def _decided(setting: Setting) -> str:
    """Who decided the value, in words."""
    said = {
        registry.ENVIRONMENT: _("environment"),
        registry.COMMAND: _("command option"),
        registry.START: _("chosen at start"),
        registry.CONSOLE: _("set here"),
    }
    return said.get(configured.source(setting.name), "")


def _drawn(setting: Setting) -> forms.Field:
    """A field for a setting; its checks are those of the registry."""
    source = configured.source(setting.name)
    told = source not in {registry.CONSOLE, configured.DEFAULT}
    value = configured.value(setting.name)
    shown = KEEP if setting.secret and value else values.shown(setting, value)
    meaning = _meaning(setting)
    if told:
        meaning = _("%(meaning)s Set by %(env)s in the environment.") % {"meaning": meaning, "env": setting.env}
    elif source == registry.CONSOLE and not setting.secret:
        shipped = values.shown(setting, setting.default) or _("empty")
        meaning = _("%(meaning)s Set here; as shipped: %(value)s.") % {"meaning": meaning, "value": shipped}
    common: dict[str, Any] = {
        "label": _label(setting),
        "help_text": meaning,
        "initial": shown,
        "required": False,
        "disabled": told,
    }
    if setting.kind == registry.CHOICE:
        names = [(one, zh if _chinese() else en) for one, zh, en in setting.choices]
        return forms.ChoiceField(choices=names, **common | {"required": True})
    return forms.CharField(max_length=2000, widget=_widget(setting), **common)


def _widget(setting: Setting) -> forms.Widget:
    if setting.secret:
        return forms.PasswordInput(render_value=True, attrs={"autocomplete": "off"})
    if setting.kind == registry.NUMBER:
        return forms.NumberInput(attrs={"min": setting.least, "max": setting.most})
    if setting.kind == registry.TIME:
        return forms.TimeInput(attrs={"type": "time"})
    return forms.TextInput()


def _field(setting: Setting) -> str:
    return setting.name.partition(".")[2]


def _label(setting: Setting) -> str:
    label, unit = (setting.label_zh, setting.unit_zh) if _chinese() else (setting.label_en, setting.unit_en)
    return (f"{label}（{unit}）" if _chinese() else f"{label} ({unit})") if unit else label


def _meaning(setting: Setting) -> str:
    return setting.zh if _chinese() else setting.en


def _chinese() -> bool:
    return (get_language() or "").startswith("zh")
