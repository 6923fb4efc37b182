"""What is written at once for speed is what templates would have written."""

from __future__ import annotations

from django import forms
from django.test import SimpleTestCase

from hetang.console.forms import LongSelect
from hetang.console.templatetags.lists import choices

PLACES = [("", "–"), (7, "East & <West>"), (8, 'The "corner"')]


class Ours(forms.Form):
    place = forms.ChoiceField(choices=PLACES, widget=LongSelect(attrs={"class": "wide"}), help_text="Where")


class Djangos(forms.Form):
    place = forms.ChoiceField(choices=PLACES, widget=forms.Select(attrs={"class": "wide"}), help_text="Where")


class Markup(SimpleTestCase):
    def test_a_long_select_is_drawn_as_django_draws_it(self) -> None:
        for given in (None, {"place": "8"}, {"place": "nonsense"}):
            self.assertHTMLEqual(str(Ours(given)["place"]), str(Djangos(given)["place"]))

    def test_choices_are_escaped_and_one_is_chosen(self) -> None:
        pairs = [("a&b", "<b>"), ("c", "C")]
        self.assertHTMLEqual(
            choices(pairs, "c"),
            '<option value="a&amp;b">&lt;b&gt;</option><option value="c" selected>C</option>',
        )
        assert "selected" not in choices(pairs)
