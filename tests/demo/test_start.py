from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from hetang.demo import load, source, start, users
from hetang.demo.jobs import demo_load  # noqa: F401 - registers the handler
from hetang.demo.load import Share
from hetang.platform import brand, clock, environment
from hetang.platform.models import Brand, Grant, JobRun, User
from hetang.platform.roles import ADVISER, HEADQUARTERS, STORE_MANAGER
from hetang.resources.models import Staff, Store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_brand_yet() -> None:
    brand.forget()


def test_the_demo_brand_counts_dollars_in_new_york_days() -> None:
    clock.freeze(datetime(2026, 11, 23, 3, tzinfo=UTC))  # 22 November in New York
    try:
        made = start.establish()
    finally:
        clock.freeze(None)
    assert (made.currency, made.time_zone, made.demo, made.demo_shift_days) == ("USD", source.TIME_ZONE, True, 3241)
    assert start.establish().demo_shift_days == 3241


def test_a_real_brand_is_left_alone() -> None:
    Brand.objects.create(id=1, name="Real")
    with pytest.raises(start.NotADemo):
        start.establish()


def test_logins_are_made_once_and_survive_a_restart() -> None:
    start.establish()
    first, again = users.create(), users.create()
    assert first == again
    assert [login.role for login in first] == [HEADQUARTERS, STORE_MANAGER, ADVISER]
    for login in first:
        assert User.objects.get(username=login.username).check_password(login.password)
    assert Grant.objects.get(role=STORE_MANAGER).org_node.store.code == users.MANAGED_STORE


def test_a_home_of_two_logins_gets_the_third_and_keeps_their_passwords() -> None:
    start.establish()
    made = users.create()
    path = environment.home() / "demo-logins.json"
    path.write_text(json.dumps([asdict(login) for login in made[:2]]))
    again = users.create()
    assert again[:2] == made[:2]
    assert again[2].username == made[2].username
    assert users._read(path) == again


def test_the_advisers_login_is_tied_to_her_account_once_it_is_there() -> None:
    start.establish()
    users.create()
    assert not users.tie_adviser()
    store = Store.objects.get(code=users.MANAGED_STORE)
    staff = Staff.objects.create(userid=users.ADVISER_USERID, name="A", store=store, org_node=store.org_node)
    assert users.tie_adviser()
    assert not users.tie_adviser()
    staff.refresh_from_db()
    assert staff.user is not None
    assert staff.user.username == "adviser367"


def test_loading_is_planned_once() -> None:
    start.establish()
    assert start.plan_loading() is not None
    assert start.plan_loading() is None
    JobRun.objects.update(state=JobRun.FAILED)
    assert start.plan_loading() is not None


def test_progress_never_goes_back() -> None:
    seen: list[int] = []

    class Watch:
        def progress(self, done: int, total: int | None = None, stage: str = "") -> None:
            seen.append(done)

        def checkpoint(self) -> None: ...

    share = Share(Watch(), "orders", 15, 55)
    for done, stage in ((50, "reading"), (100, "reading"), (50, "grouping"), (10, "reading"), (60, "writing")):
        share.progress(done, 100, stage)
    assert seen == sorted(seen)
    assert seen[-1] == 48


def test_the_parts_of_the_job_fill_a_hundred() -> None:
    assert 3 + sum(step.width for step in load.STEPS) == 95
