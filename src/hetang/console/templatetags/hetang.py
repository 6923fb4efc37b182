"""The console's template tags: `{% load hetang %}`. The style guide (`/styleguide`) shows each of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django import template
from django.forms import BoundField
from django.http import HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, pgettext

from hetang.console import fact_sources, figures
from hetang.console.cells import labelled
from hetang.console.operations import titles
from hetang.console.operations.stages import stage_label
from hetang.console.paging import Page
from hetang.platform.brand import brand

register = template.Library()
_dialogs = itertools.count(1)
_WHOLE = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?|[+−][^\s\d]{0,3}\d[\d,.]*\d")  # dates and signed amounts
_NOTICE_ICONS = {"good": "success", "warn": "warning", "bad": "error"}


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A symbol of the sprite, decorative: the words beside it carry the meaning."""
    return _drawn_icon(name, css)


@lru_cache(maxsize=1000)  # a page draws about fifty of them
def _drawn_icon(name: str, css: str) -> SafeString:
    sprite = static("console/icons.svg")
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>', css, sprite, name
    )


@register.simple_block_tag
def card(  # noqa: PLR0917 - templates pass by place
    content: str, title: str = "", hint: str = "", tone: str = "", id: str = "", flush: bool = False
) -> SafeString:
    """A framed part of a page. `flush=True` lets a table reach the frame; tone: warn, bad."""
    return _draw("card", content=content, title=title, hint=hint, tone=tone, id=id, flush=flush)


@register.simple_tag
def stat(label: str, value: object, hint: str = "", tone: str = "") -> SafeString:
    """One figure with its name; place several inside `<div class="stats">`. tone: good, warn, bad."""
    return _draw("stat", label=label, value=value, hint=hint, tone=tone)


@register.simple_block_tag
def table(content: str, label: str, dense: bool = False, phone: str = "") -> SafeString:
    """A data table; give `class="n"` to number cells. `label` names it for readers.

    phone: `cards` shows each row as a card (the default), `scroll` keeps the columns and scrolls inside the frame
    (the default when dense: many rows of figures), `fit` is for two or three short columns.
    """
    shape = phone or ("scroll" if dense else "cards")
    rows = mark_safe(labelled(content)) if shape == "cards" else content  # noqa: S308 - drawn and escaped by templates
    return _draw("table", content=rows, label=label, dense=dense, shape=shape)


@register.simple_tag(takes_context=True)
def pager(context: Context, page: Page[Any], note: str = "") -> SafeString:
    """Previous and next of a keyset page, keeping the other parameters of the address."""
    return _draw(
        "pager",
        page=page,
        note=note,
        earlier=_address(context, before=page.earlier, after=None),
        later=_address(context, after=page.later, before=None),
    )


@register.simple_block_tag(takes_context=True)
def filterbar(context: Context, content: str, label: str, action: str = "") -> SafeString:
    """Filters in the address (GET). Choices apply at once, text on Enter; `label` is the button's text."""
    request: HttpRequest = context["request"]
    active = any(value for name, value in request.GET.items() if name not in {"after", "before"})
    return _draw(
        "filterbar", content=content, label=label, action=action or request.path, clear=request.path, active=active
    )


@register.simple_tag
def field(bound: BoundField) -> SafeString:
    """A form field with label, help and errors."""
    return bound.as_field_group()


@register.simple_tag
def pick(  # noqa: PLR0917 - templates pass by place
    kind: str,
    name: str,
    value: object = "",
    id: str = "",
    label: str = "",
    required: bool = False,
    attributes: Mapping[str, object] | None = None,
) -> SafeString:
    """A day, time or moment, typed in the same way in every language (`2026-11-27`, `22:00`) or chosen from the
    browser's calendar. `label` where no `<label for>` names it."""
    shown = {key: given for key, given in (attributes or {}).items() if key not in {"id", "required"}}
    format_, wrong, opens = _written(kind)
    return _draw(
        "pick",
        kind=kind,
        name=name,
        value="" if value is None else value,
        id=id,
        label=label,
        required=required,
        attributes=shown,
        native=_NATIVE[kind],
        format=format_,
        wrong=wrong,
        opens=opens,
    )


_NATIVE = {"day": "date", "time": "time", "moment": "datetime-local"}


def _written(kind: str) -> tuple[str, str, str]:
    """How it is written, what to say of anything else, and what the button does."""
    if kind == "time":
        return (
            gettext("hh:mm"),
            gettext("Write the time as hours and minutes, for example 22:00."),
            gettext("Choose a time"),
        )
    if kind == "moment":
        said = gettext("Write day and time as year-month-day hours:minutes, for example 2026-11-27 20:00.")
        return gettext("yyyy-mm-dd hh:mm"), said, gettext("Choose day and time")
    said = gettext("Write the day as year-month-day, for example 2026-11-27.")
    return gettext("yyyy-mm-dd"), said, gettext("Choose a day")


@register.simple_tag
def badge(text: object, tone: str = "") -> SafeString:
    """A small state. tone: good, warn, bad, info, accent; the text says it, the colour only helps."""
    return format_html('<span class="badge {}">{}</span>', f"badge-{tone}" if tone else "", text)


@register.simple_block_tag
def empty(content: str, title: str, icon: str = "lotus") -> SafeString:
    """Nothing here yet: what it will be, and the way to the first one."""
    return _draw("empty", content=content, title=title, symbol=icon)


@register.simple_block_tag
def notice(content: str, tone: str = "info") -> SafeString:
    """A sentence that stays on the page. tone: info, good, warn, bad."""
    return _draw("notice", content=content, tone=tone, symbol=_NOTICE_ICONS.get(tone, "info"))


@register.simple_block_tag(takes_context=True)
def confirm(  # noqa: PLR0917 - templates pass by place
    context: Context,
    content: str,
    url: str,
    label: str,
    title: str,
    action: str = "",
    danger: bool = False,
    style: str = "",
    icon: str = "",
) -> SafeString:
    """A button that asks first. The content says the consequence (and may hold fields of the POST form)."""
    token = context.get("csrf_token", "")
    return _draw(
        "confirm",
        content=content,
        url=url,
        label=label,
        title=title,
        action=action or label,
        danger=danger,
        style=style or ("button-danger" if danger else ""),
        symbol=icon,
        id=f"dialog-{next(_dialogs)}",
        csrf=format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', token),
    )


@register.simple_tag
def tabs(label: str, items: Sequence[Any]) -> SafeString:
    """Ways of looking at one thing. Items have `url`, `label`, `current` (dicts or objects)."""
    return _draw("tabs", label=label, tabs=items)


@register.simple_tag
def progress(done: int, total: int | None, label: str = "") -> SafeString:
    """How far something is; without a total the bar runs."""
    return _draw("progress", done=done, total=total, label=label)


@register.simple_tag
def steps(labels: Sequence[str], current: int) -> SafeString:
    """The steps of a wizard; `current` counts from 1."""
    places = [
        {"label": text, "current": place == current, "done": place < current} for place, text in enumerate(labels, 1)
    ]
    return _draw("steps", steps=places)


@register.inclusion_tag("console/operations/job_progress.html")
def job_progress(job: Any, then: str = "") -> dict[str, Any]:
    """The live progress of a `JobRun`, polled each second until it ends; `then` is where to go when it is done."""
    return {"job": job, "then": then}


@register.simple_tag
def bar(part: float, whole: float, label: str = "") -> SafeString:
    """A thin bar, `part` of `whole`, drawn on the server. Without a label it only repeats the figures beside it."""
    width = 0.0 if not whole else max(0.0, min(100.0, 100.0 * part / whole))
    return format_html(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" {}>'
        '<rect width="100" height="6"/><rect width="{}" height="6"/></svg>',
        format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"'),
        f"{width:.2f}",
    )


@register.simple_tag
def columns(label: str, points: Sequence[tuple[str, float, str]]) -> SafeString:
    """Columns of a few figures, drawn on the server: (name below, value, words) each. Each says its words."""
    top = max((value for _name, value, _words in points), default=0) or 1
    heights = [max(0.0, 40.0 * value / top) for _name, value, _words in points]
    drawn = [
        {"x": 10 * place + 1.5, "y": f"{40 - height:.2f}", "height": f"{height:.2f}", "words": words}
        for place, (height, (_name, _value, words)) in enumerate(zip(heights, points, strict=True))
    ]
    return _draw("columns", label=label, drawn=drawn, width=10 * len(points), names=[name for name, _v, _w in points])


@register.simple_tag
def whisker(low: float, value: float, high: float, tone: str = "", label: str = "") -> SafeString:
    """A value in its interval against zero, drawn on the server; `label` says it in words. tone: good, bad."""
    least, most = min(low, 0.0), max(high, 0.0)
    pad = 0.04 * ((most - least) or 1.0)
    across = [100 * (at - least + pad) / (most - least + 2 * pad) for at in (low, value, high, 0.0)]
    left, middle, right, zero = (f"{place:.2f}" for place in across)
    return format_html(
        '<svg class="whisker whisker-{}" viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="zero" x1="{}" x2="{}" y1="0" y2="16"/><line class="range" x1="{}" x2="{}" y1="8" y2="8"/>'
        '<line class="point" x1="{}" x2="{}" y1="3" y2="13"/></svg>',
        tone,
        label,
        *(zero, zero, left, right, middle, middle),
    )


@register.simple_tag
def gap() -> str:
    """What stands between two sentences: a blank, and nothing after a Chinese full stop."""
    return figures.gap()


@register.simple_tag
def staff_title() -> str:
    """What the brand calls its staff, or the usual word."""
    return brand().staff_title or pgettext("staff title", "Adviser")


@register.filter
def place(node: Any) -> str:
    """What a part of the organisation is called; the brand's own node may have no name."""
    return node.name or gettext("Whole brand")


@register.filter
def money(minor: int | None) -> str:
    """Minor units in the brand's currency: `¥12,345.60`; nothing known is an en dash."""
    return figures.money(minor)


@register.filter
def signed(minor: int | None) -> str:
    """A change of money, with its sign: `+¥12.00`, `−¥12.00`."""
    return figures.signed(minor)


@register.filter
def signed_percent(share: float | None) -> str:
    """A relative change, with its sign: `+4.5%`."""
    return figures.signed_percent(share)


@register.filter
def tone(change: float | None) -> str:
    """`good`, `bad` or nothing, by the sign of a change of which more is better."""
    return figures.tone(change)


@register.filter
def number(value: Any) -> str:
    """A whole number or a decimal with separators; nothing known is an en dash."""
    return figures.number(value)


@register.filter
def percent(share: float | None, places: int = 1) -> str:
    """A share (0.123) as `12.3%`."""
    return figures.percent(share, places)


@register.filter
def interval(pair: Sequence[Any] | None, kind: str = "number") -> SafeString:
    """A 95 % interval `(low, high)` as `(1.2 ~ 3.4)`; kind: number, money, percent."""
    if pair is None or pair[0] is None:
        return mark_safe('<span class="interval">–</span>')
    low, high = (figures.by_kind(kind, end) for end in pair)
    return format_html('<span class="interval">{} ~ {}</span>', low, high)


@register.filter
def moment(at: Any) -> SafeString:
    """An instant in the brand's zone, to the minute; the exact time is in the element."""
    return figures.moment(at)


@register.filter
def clock_time(at: Any) -> SafeString:
    """The time of day of an instant whose day stands above it."""
    return figures.clock_time(at)


@register.filter
def day(value: Any) -> SafeString:
    """A calendar day in the brand's zone."""
    return figures.day(value)


@register.filter
def unbroken(text: str) -> SafeString:
    """A plain sentence whose dates and signed amounts stay on one line: browsers break them at their signs. Escaped."""
    whole = _WHOLE.sub(r'<span class="nowrap">\g<0></span>', conditional_escape(text))
    return mark_safe(whole)  # noqa: S308 - escaped above


@register.filter
def ago(at: Any) -> SafeString:
    """How long ago, in one unit (`3 hours ago`), by the installation's clock."""
    return figures.ago(at)


@register.filter
def stage(code: str) -> str:
    """The stage of a job, named."""
    return stage_label(code)


@register.filter
def job_title(run: Any) -> str:
    """What a job is called in the language of the page."""
    return titles.job_title(run)


@register.filter
def source_name(code: str) -> str:
    """What the source of a fact is called."""
    return fact_sources.source_name(code)


@register.filter
def simulated_source(code: str) -> bool:
    """Whether all that a source sends is made up."""
    return code in fact_sources.SIMULATED


@register.filter
def unlocalised(value: Any) -> str:
    """A number as machines read it (attributes of `<progress>`)."""
    return str(value)


def _address(context: Context, **changes: str | None) -> str:
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


def _draw(name: str, /, **values: Any) -> SafeString:
    return render_to_string(f"console/tags/{name}.html", values)
