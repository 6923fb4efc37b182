"""The first steps tick themselves from what is there, and can be put away."""

from __future__ import annotations

import pytest
from django.test import Client

from hetang.audiences.models import Audience
from hetang.console import first_steps
from hetang.console.models import Dismissal
from hetang.platform import brand, clock
from hetang.platform.access import actor_for
from hetang.platform.models import OrgNode
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast


def ticked(cast: Cast) -> list[bool] | None:
    found = first_steps.of(actor_for(cast.headquarters))
    return None if found is None else [step.done for step in found.steps]


def test_an_empty_installation_begins_with_the_data(headquarters: Client, cast: Cast) -> None:
    assert ticked(cast) == [False, False, False, False]
    page = headquarters.get("/").text
    assert "0 of 4 done" in page
    assert 'href="/imports/new"' in page
    assert "Why sales moved" not in page  # nothing to count yet


@pytest.mark.django_db(transaction=True)
def test_each_step_ticks_itself() -> None:
    brand.forget()
    cast = cast_of_all.make()
    people.come_in(cast)
    assert ticked(cast) == [True, True, False, False]
    root, now = OrgNode.objects.get(parent=None), clock.now()
    Audience.objects.create(
        name="Regulars", rule={"version": 1, "rule": {"all": []}}, org_node=root, created_at=now, updated_at=now
    )
    assert ticked(cast) == [True, True, True, False]


def test_who_does_not_import_sees_no_steps(manager: Client, cast: Cast) -> None:
    assert first_steps.of(actor_for(cast.manager_a)) is None
    assert "first-steps" not in manager.get("/").text
    assert manager.post("/first-steps/put-away").status_code == 403


def test_put_away_for_oneself_and_brought_back(headquarters: Client, cast: Cast) -> None:
    for _time in range(2):
        assert headquarters.post("/first-steps/put-away").status_code == 302
    assert Dismissal.objects.count() == 1
    assert ticked(cast) is None
    assert "Show the first steps again" in headquarters.get("/help").text
    headquarters.post("/first-steps/bring-back")
    assert ticked(cast) == [False, False, False, False]
    assert "Show the first steps again" not in headquarters.get("/help").text
