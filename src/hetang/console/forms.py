"""How Django's forms are drawn: our field and error templates, for every form of the console."""

from __future__ import annotations

from typing import Any

from django.forms import DateInput
from django.forms.renderers import DjangoTemplates

_OWN = {"django/forms/errors/list/default.html": "console/forms/errors.html"}


class ConsoleRenderer(DjangoTemplates):
    """Labels above, help and errors below, errors tied to their input for screen readers."""

    form_template_name = "console/forms/form.html"
    field_template_name = "console/forms/field.html"

    def get_template(self, template_name: str) -> Any:
        return super().get_template(_OWN.get(template_name, template_name))


class DayInput(DateInput):
    """A calendar day. Browsers read the value as an ISO day in every language, where Django writes its own."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")
