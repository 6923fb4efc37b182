"""The generated reference pages are what the declarations say today."""

from __future__ import annotations

import json

import pytest
from tools import reference

from hetang.facts import intake, kinds
from hetang.platform import clock
from hetang.touch.models import ShortLink


@pytest.mark.parametrize("path", sorted(reference.pages()), ids=lambda path: path.name)
def test_a_generated_page_is_up_to_date(path):
    assert path.read_text() == reference.pages()[path], "run python -m tools.reference"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS.values() if kind.external], ids=lambda kind: kind.name)
def test_every_example_is_accepted(kind):
    example = kinds.example_fact(kind)
    if kind.name == "customer.identified":
        example["who"].append({"kind": "phone", "value": "13800001234"})
    if kind.name == "click.identified":
        ShortLink.objects.create(code=example["body"]["link"], target="https://shop.example/", created_at=clock.now())
    outcome = intake.receive(json.dumps({"source": "docs", "facts": [example]}).encode())
    assert (outcome.accepted, outcome.rejected) == (1, [])


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_declared_in_both_languages(kind):
    for text in (kind.meaning_en, kind.meaning_zh, kind.message_en, kind.message_zh):
        assert text.strip()
