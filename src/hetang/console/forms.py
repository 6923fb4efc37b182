"""How Django's forms are drawn: our field and error templates, for every form of the console."""

from __future__ import annotations

from typing import Any

from django.forms import DateInput, Select
from django.forms.renderers import DjangoTemplates
from django.forms.utils import flatatt
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from hetang.console.days import iso_day

_OWN = {"django/forms/errors/list/default.html": "console/forms/errors.html"}


class ConsoleRenderer(DjangoTemplates):
    """Labels above, help and errors below, errors tied to their input for screen readers."""

    form_template_name = "console/forms/form.html"
    field_template_name = "console/forms/field.html"

    def get_template(self, template_name: str) -> Any:
        return super().get_template(_OWN.get(template_name, template_name))


class DayInput(DateInput):
    """A calendar day: typed as an ISO day in every language, or chosen from the browser's calendar."""

    input_type = "text"
    template_name = "console/forms/day.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return iso_day(value) if isinstance(value, str) else value


class LongSelect(Select):
    """A select of hundreds of choices, without groups. Django draws two templates a choice: 120 ms for 800 places."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any | None = None
    ) -> SafeString:
        """The same markup, written at once without a renderer."""
        chosen = set(self.format_value(value))
        options = SafeString(
            "".join(
                f'<option value="{escape(one)}"{" selected" if str(one) in chosen else ""}>{escape(label)}</option>'
                for one, label in self.choices
            )
        )
        marks = flatatt(self.build_attrs(self.attrs, attrs))
        return format_html('<select name="{}"{}>{}</select>', name, marks, options)
