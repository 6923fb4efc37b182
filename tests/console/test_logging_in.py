"""From the password to the session: steps, limits, one's own account, and help for who cannot get in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from hetang.console import login_limit, tidying
from hetang.console.models import LoginFailure
from hetang.platform import clock, login_rules, two_factor
from hetang.platform.access import system
from hetang.platform.models import AuditEntry, Grant, OwnRole, Session, TrustedDevice, User
from hetang.platform.roles import AUDITOR, HEADQUARTERS
from tests.console.cast import PASSWORD, Cast, user
from tests.platform.test_two_factor import code, turned_on

NOW = datetime(2026, 5, 4, 3, tzinfo=UTC)
RULES = {"idle_minutes": 120, "absolute_hours": 12, "password_length": 10, "trust_days": 14}
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    login_rules.forget()
    clock.freeze(NOW)
    yield
    clock.freeze(None)
    login_rules.forget()


def browser() -> Client:
    return Client(headers={"accept-language": "en", "user-agent": FIREFOX})


def typed(client: Client, username: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post("/login", {"username": username, "password": password, **more})


def later(seconds: int) -> None:
    clock.freeze(NOW + timedelta(seconds=seconds))


def test_with_a_second_factor_the_password_alone_opens_nothing(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    assert typed(client, "manager_a", next="/customers/")["Location"] == "/login/code"
    assert client.get("/").status_code == 302
    assert client.get("/me/").status_code == 302
    wrong = client.post("/login/code", {"code": "000000"})
    assert wrong.status_code == 422
    assert "wrong or was used already" in wrong.content.decode()
    later(60)
    assert client.post("/login/code", {"code": code(cast.manager_a, clock.wall())})["Location"] == "/customers/"
    assert client.get("/customers/").status_code == 200
    assert AuditEntry.objects.get(action="session.opened").changes == {"second_factor": "app"}


def test_the_key_of_the_session_changes_at_each_step(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    typed(client, "manager_a")
    before = client.cookies["hetang_session"].value
    later(60)
    client.post("/login/code", {"code": code(cast.manager_a, clock.wall())})
    assert client.cookies["hetang_session"].value != before
    assert Session.objects.count() == 1
    assert Session.objects.get().agent == FIREFOX


def test_a_remembered_device_is_not_asked_again_until_the_password_changes(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    typed(client, "manager_a")
    later(60)
    client.post("/login/code", {"code": code(cast.manager_a, clock.wall()), "remember": "1"})
    client.post("/logout")
    assert typed(client, "manager_a")["Location"] == "/"
    assert typed(browser(), "manager_a")["Location"] == "/login/code"
    client.post("/me/password", {"present": PASSWORD, "password": "another good one", "again": "another good one"})
    assert not TrustedDevice.objects.exists()
    client.post("/logout")
    assert typed(client, "manager_a", "another good one")["Location"] == "/login/code"


def test_a_recovery_code_opens_the_door_once(cast: Cast) -> None:
    codes = turned_on(cast.manager_a)
    for expected in (302, 422):
        client = browser()
        typed(client, "manager_a")
        assert client.post("/login/code", {"code": codes[0]}).status_code == expected


def test_after_five_wrong_codes_even_the_right_one_waits(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    typed(client, "manager_a")
    later(60)
    for _ in range(5):
        client.post("/login/code", {"code": "000000"})
    right = {"code": code(cast.manager_a, clock.wall())}
    assert "Too many failed attempts" in client.post("/login/code", right).content.decode()
    later(91)
    assert client.post("/login/code", {"code": code(cast.manager_a, clock.wall())}).status_code == 302


def test_the_steps_are_not_skipped_and_end_after_ten_minutes(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    for page in ("code", "two-factor", "password"):
        assert client.get(f"/login/{page}")["Location"] == "/login"
    typed(client, "manager_a")
    assert client.get("/login/password")["Location"] == "/login/code"
    later(601)
    assert client.get("/login/code")["Location"] == "/login"


def test_a_password_changed_meanwhile_ends_the_steps(cast: Cast) -> None:
    turned_on(cast.manager_a)
    client = browser()
    typed(client, "manager_a")
    cast.manager_a.set_password("changed elsewhere")
    cast.manager_a.save()
    assert client.get("/login/code")["Location"] == "/login"


def test_a_role_that_needs_it_leads_through_the_set_up(cast: Cast) -> None:
    login_rules.change(system("t"), RULES, ["store_manager"])
    login_rules.forget()
    client = browser()
    assert typed(client, "manager_a")["Location"] == "/login/two-factor"
    page = client.get("/login/two-factor")
    assert 'src="data:image/svg+xml' in page.content.decode()
    assert client.get("/").status_code == 302
    assert client.post("/login/two-factor", {"code": "000000"}).status_code == 422
    done = client.post("/login/two-factor", {"code": code(cast.manager_a)})
    assert len(done.context["codes"]) == 10
    assert client.get("/").status_code == 200
    refused = client.post("/me/two-factor/off", {"present": PASSWORD}, follow=True).content.decode()
    assert "One of your roles needs" in refused
    assert two_factor.is_on(cast.manager_a)


def test_the_rules_page_asks_for_the_second_factor_at_once(headquarters: Client, cast: Cast) -> None:
    manager = browser()
    typed(manager, "manager_a")
    values = {**RULES, "two_factor_roles": ["store_manager"]}
    assert headquarters.post("/settings/login-rules/", values).status_code == 302
    assert manager.get("/").status_code == 302
    assert headquarters.post("/settings/login-rules/", values | {"idle_minutes": 1}).status_code == 422
    assert AuditEntry.objects.get(action="login_rules.changed").changes == {"two_factor_roles": [[], ["store_manager"]]}
    auditor = browser()
    auditor.force_login(user("auditor", AUDITOR, cast.root))
    assert auditor.get("/settings/login-rules/").status_code == 200
    assert auditor.post("/settings/login-rules/", values).status_code == 403


def test_a_first_password_must_be_changed_before_anything_else(headquarters: Client, cast: Cast) -> None:
    answer = headquarters.post(f"/settings/users/{cast.manager_a.pk}/password")
    plain = answer.context["plain"]
    assert plain in answer.content.decode()
    client = browser()
    assert typed(client, "manager_a", plain)["Location"] == "/login/password"
    assert client.get("/").status_code == 302
    for password, again, problem in (
        (plain, plain, "This is the present password"),
        ("short", "short", "at least 10 characters"),
        ("1qaz2wsx3edc", "1qaz2wsx3edc", "too common"),
        ("manager_a1", "manager_a1", "too similar"),
        ("a good new one", "a good new two", "The two are not the same"),
    ):
        refused = client.post("/login/password", {"password": password, "again": again})
        assert refused.status_code == 422
        assert problem in refused.content.decode()
    assert client.post("/login/password", {"password": "a good new one", "again": "a good new one"})["Location"] == "/"
    assert client.get("/").status_code == 200
    cast.manager_a.refresh_from_db()
    assert not cast.manager_a.must_change_password
    audited = AuditEntry.objects.filter(action__startswith="password").values_list("action", "actor")
    assert sorted(audited) == [("password.changed", "manager_a"), ("password.reset", "headquarters")]
    assert plain not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("active", {"active": "0"}),
        ("password", {}),
        ("two-factor", {}),
        ("sessions", {}),
        ("grants", {"role": "adviser", "org_node": ""}),
    ],
)
def test_what_an_administrator_does_ends_the_sessions_at_once(
    headquarters: Client, cast: Cast, address: str, values: dict[str, Any]
) -> None:
    client = browser()
    typed(client, "manager_a")
    assert client.get("/").status_code == 200
    if "org_node" in values:
        values = values | {"org_node": cast.store_b.org_node.pk}
    headquarters.post(f"/settings/users/{cast.manager_a.pk}/{address}", values)
    assert client.get("/").status_code == 302


def test_a_role_taken_away_ends_the_sessions_at_once(headquarters: Client, cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    grant = Grant.objects.get(user=cast.manager_a)
    headquarters.post(f"/settings/users/{cast.manager_a.pk}/grants/{grant.pk}/remove")
    assert client.get("/").status_code == 302


def test_nobody_resets_who_stands_above_her(headquarters: Client, cast: Cast) -> None:
    role = OwnRole.objects.create(
        code="own_local", name="Local", permissions=["users:view", "users:manage"], created_at=NOW
    )
    mixed = user("mixed", "store_manager", cast.store_a.org_node)
    Grant.objects.create(user=mixed, role="store_manager", org_node=cast.store_b.org_node)
    local = browser()
    local.force_login(user("local", role.code, cast.store_a.org_node))
    for address in ("password", "two-factor", "sessions", "unlock", "active"):
        assert local.post(f"/settings/users/{mixed.pk}/{address}").status_code == 403
        assert local.post(f"/settings/users/{cast.headquarters.pk}/{address}").status_code == 404
    assert mixed.check_password(PASSWORD)


def test_ones_own_sessions_are_seen_and_ended(cast: Cast) -> None:
    here, there, elsewhere = browser(), browser(), browser()
    for client in (here, there, elsewhere):
        typed(client, "manager_a")
    page = here.get("/me/").content.decode()
    assert page.count('<th scope="row">Firefox · Windows') == 3
    assert page.count("This one") == 1
    ids = [one.pk for one, _agent, current in here.get("/me/").context["sessions"] if not current]
    here.post(f"/me/sessions/{ids[0]}/end")
    assert sorted([there.get("/").status_code, elsewhere.get("/").status_code]) == [200, 302]
    here.post("/me/sessions/end")
    assert {there.get("/").status_code, elsewhere.get("/").status_code} == {302}
    assert here.get("/").status_code == 200


def test_another_persons_session_is_not_ended(headquarters: Client, cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    headquarters.post(f"/me/sessions/{Session.objects.get(user=cast.manager_a).pk}/end")
    assert client.get("/").status_code == 200


def test_turning_it_on_and_off_by_oneself(cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    assert "a stolen password alone opens nothing" in client.get("/me/").content.decode()
    key = client.cookies["hetang_session"].value
    client.get("/me/two-factor")
    assert client.post("/me/two-factor", {"code": "1"}).status_code == 422
    done = client.post("/me/two-factor", {"code": code(cast.manager_a)})
    assert len(done.context["codes"]) == 10
    assert client.cookies["hetang_session"].value != key
    assert client.get("/me/two-factor")["Location"] == "/me/"
    assert (
        "This is not your password" in client.post("/me/two-factor/off", {"present": "x"}, follow=True).content.decode()
    )
    assert two_factor.is_on(cast.manager_a)
    fresh = client.post("/me/two-factor/codes", {"present": PASSWORD})
    assert set(fresh.context["codes"]).isdisjoint(done.context["codes"])
    client.post("/me/two-factor/off", {"present": PASSWORD})
    assert not two_factor.is_on(cast.manager_a)


def test_changing_the_password_needs_the_present_one_and_ends_the_others(cast: Cast) -> None:
    here, there = browser(), browser()
    for client in (here, there):
        typed(client, "manager_a")
    key = here.cookies["hetang_session"].value
    new = {"password": "another good one", "again": "another good one"}
    assert here.post("/me/password", new | {"present": "guess"}).status_code == 422
    assert here.post("/me/password", new | {"present": PASSWORD}).status_code == 302
    assert here.cookies["hetang_session"].value != key
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302


def test_a_page_left_open_does_not_keep_its_session_alive(cast: Cast) -> None:
    client = browser()
    typed(client, "manager_a")
    for minute in range(10, 121, 10):
        later(minute * 60)
        client.get("/", headers={"HX-Request": "true"})
    assert client.get("/").status_code == 302


def test_failures_of_many_names_lock_the_address_and_a_good_log_in_gives_its_try_back(cast: Cast) -> None:
    client = browser()
    for number in range(29):
        typed(client, f"nobody{number}", "wrong")
    assert typed(client, "manager_a").status_code == 302
    client.post("/logout")
    typed(client, "nobody30", "wrong")
    locked = typed(browser(), "headquarters")
    assert "Too many failed attempts" in locked.content.decode()
    later(31)
    assert typed(browser(), "headquarters").status_code == 302


def test_an_administrator_lets_a_locked_user_try_again(headquarters: Client, cast: Cast) -> None:
    for _ in range(6):
        typed(browser(), "manager_a", "wrong")
    assert "after wrong passwords" in headquarters.get(f"/settings/users/{cast.manager_a.pk}/").content.decode()
    headquarters.post(f"/settings/users/{cast.manager_a.pk}/unlock")
    assert typed(browser(), "manager_a").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_hundred_guesses_at_once_are_counted_as_a_hundred() -> None:
    allowed: list[bool] = []
    barrier = threading.Barrier(10)

    def guess() -> None:
        barrier.wait()
        allowed.extend(not login_limit.begin(name="ann") for _ in range(10))
        connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 5


def test_what_is_over_is_tidied_away(cast: Cast) -> None:
    typed(browser(), "manager_a")
    typed(browser(), "manager_a", "wrong")
    two_factor.remember(cast.manager_a, "x")
    later(15 * 24 * 3600)
    assert tidying.run_once() == 600
    assert not any(model.objects.exists() for model in (Session, LoginFailure, TrustedDevice))


def test_the_first_user_needs_a_good_password(db: None) -> None:
    from hetang.console import first_run
    from tests.console.test_first_run import VALUES

    answer = browser().post("/setup", VALUES | {"code": first_run.code(), "password": "1qaz2wsx3edc"})
    assert answer.status_code == 422
    assert not User.objects.exists()


def test_headquarters_is_a_role_and_not_a_door(cast: Cast) -> None:
    """A switched-off user with every right gets no further than the password."""
    User.objects.filter(pk=cast.headquarters.pk).update(is_active=False)
    client = browser()
    assert "do not match" in typed(client, "headquarters").content.decode()
    assert HEADQUARTERS in Grant.objects.filter(user=cast.headquarters).values_list("role", flat=True)
