"""The style guide: every token and template tag with real values, right and wrong side by side.

It is what accessibility and screenshot checks look at, and where a new page begins. Each part is a template in
`console/styleguide/`, drawn here and shown as it is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.utils.functional import Promise
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.console import figures
from hetang.console.forms import DayInput
from hetang.console.paging import Page
from hetang.platform import clock
from hetang.platform.access import signed_in

Text = str | Promise

# Colours by what they are for: (heading, [(token, use)]).
COLOURS: tuple[tuple[Text, tuple[tuple[str, Text], ...]], ...] = (
    (
        _("Grounds"),
        (
            ("page", _("behind everything")),
            ("surface", _("cards, tables, fields")),
            ("raised", _("dialogs, menus, toasts")),
            ("sunken", _("code, bars, group rows")),
            ("hover", _("a row or entry under the pointer")),
        ),
    ),
    (
        _("Lines"),
        (
            ("line-soft", _("between rows, around cards")),
            ("line-strong", _("around buttons and menus")),
            ("control-line", _("around fields: three to one against the ground")),
        ),
    ),
    (
        _("Ink"),
        (
            ("ink", _("text and figures")),
            ("ink-2", _("second voice")),
            ("ink-3", _("labels and hints: never the only meaning")),
        ),
    ),
    (
        _("The brand's accent"),
        (
            ("accent", _("marks, bars, focus")),
            ("accent-ink", _("links")),
            ("accent-soft", _("what is chosen")),
            ("accent-line", _("under links")),
            ("accent-fill", _("the one primary button")),
        ),
    ),
    (
        _("States"),
        (
            ("good", _("more, done")),
            ("good-soft", _("its ground")),
            ("warn", _("needs somebody")),
            ("warn-soft", _("its ground")),
            ("bad", _("less, failed")),
            ("bad-soft", _("its ground")),
            ("bad-fill", _("what cannot be undone")),
            ("info", _("to know")),
            ("info-soft", _("its ground")),
        ),
    ),
)
SIZES: tuple[tuple[str, Text], ...] = (
    ("3xl", _("the one figure of a page")),
    ("2xl", _("rarely")),
    ("xl", _("the heading of a page, figures in a row")),
    ("l", _("a sentence that leads, headings in text")),
    ("m", _("text, headings of cards")),
    ("s", _("tables, fields, menus")),
    ("xs", _("heads of columns, hints")),
)
SPACES = ("s1", "s2", "s3", "s4", "s5", "s6", "s8", "s10", "s12", "s16")
RADII = ("radius-s", "radius", "radius-l", "round")
SHADOWS = ("shadow-s", "shadow-m", "shadow-l")
_SPRITE = Path(__file__).parent / "static" / "console" / "icons.svg"


@dataclass(frozen=True)
class Part:
    """One part: its templates are `<code>.html` and, where there is a wrong way, `<code>_bad.html`."""

    code: str
    title: Text
    tag: str
    use: Text
    good: Text
    bad: Text = ""


PARTS = (
    Part(
        "buttons",
        _("Buttons"),
        "button-primary | -danger | -quiet | -small | -block",
        _("One primary button a page: what people came to do. The others are plain; leaving is quiet."),
        _("The word says what happens, with its number."),
        _("Two primaries shout at each other, “OK” says nothing, and red is not for leaving."),
    ),
    Part(
        "card",
        pgettext_lazy("style guide", "Card"),
        "{% card title hint tone id flush=True %}",
        _("A framed part of a page with one subject. `flush` lets a table reach the frame."),
        _("A title of one or two words; what it is sorted by stands in the hint."),
        _("Frames within frames, and a frame around nothing but another."),
    ),
    Part(
        "stat",
        _("Figures in a row"),
        "{% stat label value hint tone %}",
        _("Three to six figures that one looks at together."),
        _("Name, figure in the brand's way of writing, and what it leaves out."),
        _("No unit, no separators, a name that says nothing, and a sentence where a figure belongs."),
    ),
    Part(
        "hero",
        _("The one figure"),
        "hero, hero-head, hero-label, hero-value, hero-text",
        _("Where the boss looks: the board, a report, a customer. Once a page, above everything."),
        _("One figure, its change, one sentence."),
        _("Three heroes are none, and nobody reads five decimals."),
    ),
    Part(
        "delta",
        pgettext_lazy("style guide", "Changes"),
        "|signed |signed_percent |tone",
        _("How something moved. The sign says it; the colour only helps."),
        _("Sign, unit, and a tone that follows the sign."),
        _("Without its sign a change is a figure, and red alone tells some readers nothing."),
    ),
    Part(
        "badge",
        _("State"),
        "{% badge text tone %}",
        _("One or two words for where something is. Neutral unless somebody should notice."),
        _("Words first, tone second."),
        _("Figures are no states, and a sentence belongs in a notice."),
    ),
    Part(
        "notice",
        _("Sentences that stay"),
        "{% notice tone %}",
        _("Something one has to know on this page, with what to do about it."),
        _("What is so, and what to do."),
        _("A code without a remedy, or a greeting."),
    ),
    Part(
        "confirm",
        _("Asking first"),
        "{% confirm url label title action danger=True %}",
        _("Before something that reaches people or cannot be undone. The label ends in dots."),
        _("Who and how many, in the title and below; the button repeats the verb."),
        _("“Are you sure?” of what? And “Yes” to which question?"),
    ),
    Part(
        "empty",
        _("Nothing here yet"),
        "{% empty title icon %}",
        _("What will be here, and the way to the first one."),
        _("Says what it is, with an example and one button."),
        _("A dead end."),
    ),
    Part(
        "table",
        _("Table"),
        '{% table label %} · class="n" "tight" "clip" · {% pager page note %}',
        _("Lists of things. On phones each row becomes a card, named by the heads of the columns."),
        _("Figures right and tabular, the first cell is the row's head, times in the brand's zone."),
        _("Figures left cannot be compared; minor units and bare shares are for machines."),
    ),
    Part(
        "matrix",
        _("Table of figures"),
        '{% table label dense=True phone="scroll" %}',
        _("Many rows of figures that are compared down the column: they scroll in their frame."),
        _("Dense, at most nine columns; the rest is in the export."),
    ),
    Part(
        "filterbar",
        _("Filters"),
        "{% filterbar label %} · data-search",
        _("Above a list. Choices apply at once, text on Enter; everything is in the address."),
        _("The search first, then what is chosen most often."),
    ),
    Part(
        "form",
        _("Form"),
        '{{ form }} · {% field form.name %} · class="fields-2"',
        _("One column, two where fields belong together. The help says what happens, not how to type."),
        _("Label, field, help. What may stay empty says so."),
    ),
    Part(
        "form_errors",
        _("Form with errors"),
        "422",
        _("Errors stand at their field and say what would be right; what was typed stays."),
        _("Answered with 422, so that htmx puts it in."),
    ),
    Part(
        "tabs",
        _("Tabs and segments"),
        "{% tabs label items %} · class=segments",
        _("Tabs are ways of looking at one thing; segments choose one of a few values."),
        _("Two to six, one word each; the current one is marked for readers, too."),
    ),
    Part(
        "steps",
        _("Steps"),
        "{% steps labels current %}",
        _("The way through a wizard. Every step can be come back to."),
        _("What has been done is ticked off, what is now is filled."),
    ),
    Part(
        "progress",
        _("Progress"),
        "{% progress done total label %} · {% job_progress job then=url %} · {% bar part whole label %}",
        _("Work of more than a second: how far it is, of how much, and a way to stop it."),
        _("Done and whole, in numbers."),
        _("Waiting for what, and for how long?"),
    ),
    Part(
        "whisker",
        _("Small drawings"),
        "{% whisker low value high tone label %} · {% columns label points %}",
        _("An interval against zero, a year in months. Drawn on the server; the words are in the drawing."),
        _("No legend needed, no script, printed as it is."),
    ),
    Part(
        "timeline",
        _("What happened"),
        "class=timeline",
        _("A customer's history, newest first; a day is named once."),
        _("Day, symbol, sentence, time."),
    ),
    Part(
        "facts",
        _("Names and values"),
        "<dl class=facts>",
        _("A few properties of one thing."),
        _("Short names; what machines read is in the fixed-width face."),
    ),
    Part(
        "pick",
        _("Days and times"),
        "{% pick kind name value id label %}",
        _("A day is typed in one way in every language, as tables show it; the button opens a calendar."),
        _("A label stands before, and the format stands in the empty field."),
        _("The browser's own field speaks the browser's language: the same day reads 03/04 here and 04/03 there."),
    ),
    Part(
        "waiting",
        _("On its way, and keys"),
        "class=skeleton · <kbd>",
        _("A part that comes later keeps its place. Keys are shown where they are used."),
        _("Nothing jumps when it arrives."),
    ),
)


class SampleForm(forms.Form):
    """Every kind of field."""

    name = forms.CharField(label=_("Name"), help_text=_("As people say it."))
    kind = forms.ChoiceField(label=_("Kind"), choices=[("a", _("First")), ("b", _("Second"))])
    day = forms.DateField(label=_("Day"), widget=DayInput())
    note = forms.CharField(label=_("Note"), widget=forms.Textarea(attrs={"rows": 3}), required=False)
    sure = forms.BooleanField(label=_("I have read the consequence"))
    basis = forms.ChoiceField(
        label=_("Choose one"), choices=[("a", _("First")), ("b", _("Second"))], widget=forms.RadioSelect
    )


@signed_in
def styleguide(request: HttpRequest) -> HttpResponse:
    """Shows each part of the design system; `?toast=1` shows a toast."""
    if request.GET.get("toast"):
        messages.success(request, _("Saved."))
    samples = _samples()
    values = samples | {
        "parts": [
            {
                "part": part,
                "shown": _drawn(request, part.code, samples),
                "code": _written(part.code),
                "wrong_shown": _drawn(request, f"{part.code}_bad", samples) if part.bad else "",
            }
            for part in PARTS
        ],
        "colours": COLOURS,
        "sizes": SIZES,
        "spaces": SPACES,
        "radii": RADII,
        "shadows": SHADOWS,
        "icons": re.findall(r'id="([a-z-]+)"', _SPRITE.read_text()),
    }
    return render(request, "console/styleguide.html", values)


def _drawn(request: HttpRequest, code: str, samples: dict[str, Any]) -> SafeString:
    return mark_safe(get_template(f"console/styleguide/{code}.html").render(samples, request))  # noqa: S308 - our own


def _written(code: str) -> str:
    """The template as it is written, without the line that loads the tags."""
    template: Any = get_template(f"console/styleguide/{code}.html")
    source: str = template.template.source
    return source.removeprefix("{% load i18n hetang %}").strip()


def _samples() -> dict[str, Any]:
    now = clock.now()
    return {
        "form": SampleForm(),
        "wrong": SampleForm({"name": "", "kind": "a"}, prefix="wrong"),
        "page": Page(rows=[1, 2, 3], earlier="e", later="l"),
        "now": now,
        "today": figures.short_day(clock.today()),
        "earlier": now - timedelta(hours=5),
        "labels": [_("Choose the audience"), _("Compose"), _("Check and send")],
        "tabs": [
            {"label": _("Overview"), "url": "?tab=1", "current": True},
            {"label": _("History"), "url": "?tab=2", "current": False},
        ],
        "rows": [("C-1001", 1284050, 0.1834, (-0.012, 0.031)), ("C-1002", 99, 0.02, (0.004, 0.051))],
        "margin": (-0.012, 0.031),
        "fall": -0.045,
        "rise": 1,
        "months": [
            (str(month), 20 + month * (month % 4), f"{month}: {20 + month * (month % 4)}") for month in range(1, 13)
        ],
    }
