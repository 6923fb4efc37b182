"""Forms of the simulated WeCom's page: shares are asked in percent, times in hours and days."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

MAX_HOURS = 31 * 24


class AdvanceForm(forms.Form):
    """How far time goes on."""

    hours = forms.IntegerField(min_value=1, max_value=MAX_HOURS, label=_("Hours"))


class TasksForm(forms.Form):
    """Which tasks: all open ones, one message's, or one member's part of it."""

    msgid = forms.CharField(required=False, max_length=64)
    userid = forms.CharField(required=False, max_length=64)
    share = forms.IntegerField(required=False, min_value=1, max_value=100)


class BehaviourForm(forms.Form):
    """How staff and people behave from now on."""

    confirm_percent = forms.FloatField(
        min_value=0,
        max_value=100,
        label=_("Staff who confirm by themselves (%)"),
        help_text=_("Of the tasks that they get from now on."),
    )
    confirm_hours = forms.FloatField(min_value=0, max_value=168, label=_("Mean time until they confirm (hours)"))
    remind_percent = forms.FloatField(min_value=0, max_value=100, label=_("Undecided staff whom a reminder moves (%)"))
    click_percent = forms.FloatField(
        min_value=0,
        max_value=100,
        label=_("Customers who open the link of a message (%)"),
        help_text=_("Of those who get a message from now on. They open it in the hours after, as time passes."),
    )
    click_hours = forms.FloatField(min_value=0, max_value=168, label=_("Mean time until they open it (hours)"))
    known_percent = forms.FloatField(
        min_value=0,
        max_value=100,
        label=_("Clicks that the page behind the link identifies (%)"),
        help_text=_("Of the links opened from now on. The page knows who came and reports it."),
    )
    buying = forms.BooleanField(required=False, label=_("People visit and buy"))
    uplift_percent = forms.FloatField(
        min_value=0,
        max_value=1000,
        label=_("True effect of a message (%)"),
        help_text=_("How much more often than usual a person buys while a message that was sent to her works."),
    )
    effect_days = forms.FloatField(min_value=0, max_value=90, label=_("How long a message works (days)"))
    monthly_cap = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=1000,
        label=_("The platform's cap per customer and month"),
        help_text=_("Empty: as many as the month has days."),
    )

    @staticmethod
    def initial_of(settings: dict[str, Any]) -> dict[str, Any]:
        """The form's values for the simulator's settings."""
        return {
            "confirm_percent": _short(settings["confirm_rate"] * 100),
            "confirm_hours": _short(settings["confirm_delay_s"] / 3600),
            "remind_percent": _short(settings["remind_rate"] * 100),
            "click_percent": _short(settings["click_rate"] * 100),
            "click_hours": _short(settings["click_delay_s"] / 3600),
            "known_percent": _short(settings["known_rate"] * 100),
            "buying": settings["buying"],
            "uplift_percent": _short(settings["uplift"] * 100),
            "effect_days": _short(settings["effect_s"] / 86400),
            "monthly_cap": settings["monthly_cap"],
        }

    def changes(self) -> dict[str, Any]:
        """The simulator's settings for the form's values."""
        values = self.cleaned_data
        return {
            "confirm_rate": values["confirm_percent"] / 100,
            "confirm_delay_s": values["confirm_hours"] * 3600,
            "remind_rate": values["remind_percent"] / 100,
            "click_rate": values["click_percent"] / 100,
            "click_delay_s": values["click_hours"] * 3600,
            "known_rate": values["known_percent"] / 100,
            "buying": values["buying"],
            "uplift": values["uplift_percent"] / 100,
            "effect_s": values["effect_days"] * 86400,
            "monthly_cap": values["monthly_cap"],
        }


def _short(value: float) -> float | int:
    """At most two decimals, none where there are none: 80, not 80.0."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded
