"""Logging in by WeCom against the simulator: who comes in with which role, who is refused, who is locked and when."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from hetang.connectors.wecom import callbacks, nightly, staffing
from hetang.connectors.wecom import client as wecom_client
from hetang.connectors.wecom.accounts import places, services
from hetang.connectors.wecom.accounts.rules import Membership, Placed, Rule, Tree, roles_of
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.models import App, Department, Member, RoleRule
from hetang.platform import brand, clock, jobs, login_rules, users
from hetang.platform.access import system
from hetang.platform.jobs import Work
from hetang.platform.models import AuditEntry, Grant, JobRun, Session, TwoFactor, User
from hetang.platform.users import UserRefused
from hetang.resources import logins
from hetang.resources.models import Staff
from tests.connectors.wecom.conftest import Post
from tests.console import cast as cast_of_all
from tests.console.cast import Cast
from tests.simulator.world import World

pytestmark = pytest.mark.django_db


class Quiet(Work):
    def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...

    def checkpoint(self) -> None: ...


@pytest.fixture
def cast(db: None) -> Cast:
    brand.forget()
    return cast_of_all.make()


@pytest.fixture
def corp(cast: Cast, world: World, app: App) -> App:
    """Anna leads the department of store A, Bo works in it, Carl in one that is no store. Sign-on is on."""
    Staff.objects.all().delete()
    world.admin.departments([{"id": 2, "name": "Store A"}, {"id": 3, "name": "Night shift", "parentid": 2}])
    world.admin.departments([{"id": 4, "name": "Brand team"}])
    world.admin.staff(
        [
            {"userid": "anna", "name": "Anna", "departments": [2], "leads": [2]},
            {"userid": "bo", "name": "Bo", "departments": [3]},
            {"userid": "carl", "name": "Carl", "departments": [4]},
        ]
    )
    services.switch(system("test"), app, True)
    bring_in(app)
    app.refresh_from_db()
    return app


def bring_in(app: App) -> None:
    staffing.bring_in(client_of(app), app.corp, Quiet(0, {}, ""))


def sign_on(browser: Client, userid: str, agent: str = "Mozilla/5.0", **query: str) -> Any:
    """The whole way: to WeCom's page, pick who one is there, and back."""
    away = browser.get("/login/wecom", query, headers={"user-agent": agent})
    assert away.status_code == 302
    return browser.get(came_back(away["Location"], userid))


def came_back(address: str, userid: str) -> str:
    answer = httpx.get(address.partition("#")[0], params={**flat(address), "pick": userid}, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    place = urlsplit(answer.headers["Location"])
    return f"{place.path}?{place.query}"


def flat(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def held(userid: str) -> set[tuple[str, str]]:
    return set(Grant.objects.filter(user__staff__userid=userid).values_list("role", "org_node__code"))


def said(answer: Any) -> str:
    assert answer.status_code == 403, answer.status_code
    return str(answer.content.decode())


# --- rules, alone


def test_a_department_is_the_store_that_it_or_one_above_is_called() -> None:
    departments = {
        1: Placed("Brand"),
        2: Placed("North", 1),
        3: Placed("Store A", 2),
        4: Placed("Night", 3),
        5: Placed("Store A", 3, decided=True),
        6: Placed("Below", 5),
        7: Placed("X", 2, decided=True, store="B"),
    }
    tree = Tree(departments, {"Store A": "A", "A": "A", "B": "B"})
    assert [tree.store_of(number) for number in (1, 2, 3, 4, 5, 6, 7, 99)] == ["", "", "A", "A", "", "", "B", ""]
    assert tree.store_of_member(Membership([7, 3])) == "A"
    assert tree.store_of_member(Membership([7, 3], main=7)) == "B"
    assert tree.store_of_member(Membership([1, 2])) == ""


def test_departments_that_name_each_other_end_nowhere() -> None:
    assert Tree({1: Placed("a", 2), 2: Placed("b", 1)}, {}).store_of(1) == ""


def test_the_first_rule_that_fits_counts_in_each_department() -> None:
    tree = Tree({1: Placed("Brand"), 2: Placed("A", 1), 3: Placed("HQ", 1), 4: Placed("Team", 3)}, {"A": "A"})
    rules = [
        Rule(3, "all", "analyst", 77),
        Rule(0, "leaders", "store_manager"),
        Rule(0, "others", "adviser"),
    ]
    assert roles_of(Membership([2]), rules, tree) == {("adviser", "A")}
    assert roles_of(Membership([2, 4], leads=[2]), rules, tree) == {("store_manager", "A"), ("analyst", 77)}
    assert roles_of(Membership([1]), rules, tree) == set()


# --- coming in


def test_a_leader_comes_in_as_store_manager_and_others_as_advisers(corp: App) -> None:
    browser = Client()
    answer = sign_on(browser, "anna", next="/customers/")
    assert (answer.status_code, answer["Location"]) == (302, "/customers/")
    anna = User.objects.get(staff__userid="anna")
    assert (anna.username, anna.has_usable_password(), held("anna")) == (
        "anna",
        False,
        {("store_manager", "store:A")},
    )
    assert browser.get("/customers/").status_code == 200
    sign_on(Client(), "bo")
    assert held("bo") == {("adviser", "store:A")}
    told = AuditEntry.objects.filter(action="sign_on.passed").order_by("id").values_list("actor", flat=True)
    assert list(told) == ["anna", "bo"]


def test_inside_the_client_nothing_is_scanned(corp: App) -> None:
    browser = Client()
    away = browser.get("/login/wecom", headers={"user-agent": "Mozilla/5.0 wxwork/4.1.30 MicroMessenger/7"})
    assert "/connect/oauth2/authorize" in away["Location"]
    assert away["Location"].endswith("#wechat_redirect")
    assert browser.get(came_back(away["Location"], "bo")).status_code == 302
    assert "_auth_user_id" in browser.session


def test_signing_on_again_makes_nobody_twice(corp: App) -> None:
    for _time in range(2):
        assert sign_on(Client(), "bo").status_code == 302
    assert User.objects.filter(staff__userid="bo").count() == 1


def test_a_user_name_that_is_taken_gets_a_number(corp: App) -> None:
    cast_of_all.user("bo")
    sign_on(Client(), "bo")
    assert User.objects.get(staff__userid="bo").username == "bo-2"


def test_the_login_page_offers_it_only_when_it_is_on(corp: App) -> None:
    assert "/login/wecom" in Client().get("/login").text
    services.switch(system("test"), corp, False)
    assert "/login/wecom" not in Client().get("/login").text
    assert Client().get("/login/wecom").status_code == 404
    assert Client().get("/login/wecom/back").status_code == 404


def test_the_session_gets_a_new_key(corp: App) -> None:
    browser = Client()
    away = browser.get("/login/wecom")
    planted = browser.cookies["hetang_session"].value
    browser.get(came_back(away["Location"], "bo"))
    assert browser.cookies["hetang_session"].value != planted
    intruder = Client()
    intruder.cookies["hetang_session"] = planted
    assert "_auth_user_id" not in intruder.session


def test_an_answer_works_only_in_the_browser_that_asked_and_once(corp: App) -> None:
    victim, attacker = (Client(headers={"accept-language": "en"}) for _ in range(2))
    victim.get("/login/wecom")
    address = came_back(attacker.get("/login/wecom")["Location"], "bo")
    assert "not begun in this browser" in said(victim.get(address))
    assert attacker.get(address).status_code == 302
    attacker.post("/logout")
    assert "not begun in this browser" in said(attacker.get(address))
    assert set(AuditEntry.objects.filter(action="sign_on.refused").values_list("changes__reason", flat=True)) == {
        "not_begun"
    }


def test_a_code_that_was_used_is_refused(corp: App) -> None:
    browser = Client(headers={"accept-language": "en"})
    first, second = (browser.get("/login/wecom")["Location"] for _ in range(2))
    used = flat(came_back(first, "bo"))
    browser.get("/login/wecom/back", used)
    browser.post("/logout")
    other = Client(headers={"accept-language": "en"})
    state = flat(other.get("/login/wecom")["Location"])["state"]
    answer = other.get("/login/wecom/back", {"code": used["code"], "state": state})
    assert "used already" in said(answer)
    assert second != first


def test_strangers_do_not_come_in(corp: App, world: World) -> None:
    browser = Client(headers={"accept-language": "en"})
    state = flat(browser.get("/login/wecom")["Location"])["state"]
    code = world.admin.call("authorise", {"external_userid": world.people[0]})["code"]
    assert "Only members of the corp" in said(browser.get("/login/wecom/back", {"code": code, "state": state}))
    assert not Session.objects.exclude(user=None).exists()


def test_guessing_codes_is_slowed_down(corp: App) -> None:
    browser = Client(headers={"accept-language": "en"})
    texts = []
    for _time in range(31):
        state = flat(browser.get("/login/wecom")["Location"])["state"]
        texts.append(said(browser.get("/login/wecom/back", {"code": "guess", "state": state})))
    assert "used already" in texts[29]
    assert "Too many failed attempts" in texts[30]


def test_who_is_unknown_or_without_a_role_is_told_what_to_do(corp: App, world: World) -> None:
    browser = Client(headers={"accept-language": "en"})
    assert "say which store your department is" in said(sign_on(browser, "carl"))
    assert not User.objects.filter(staff__userid="carl").exists()
    world.admin.staff([{"userid": "dora", "name": "Dora", "departments": [2]}])
    assert "not among the staff here yet" in said(sign_on(browser, "dora"))


def test_who_was_disabled_a_moment_ago_does_not_come_in(corp: App, world: World) -> None:
    sign_on(Client(), "bo")
    browser = Client(headers={"accept-language": "en"})
    address = came_back(browser.get("/login/wecom")["Location"], "bo")
    world.admin.call("staff_changes", {"userid": "bo", "status": 2})
    assert "disabled or not activated" in said(browser.get(address))
    assert User.objects.get(staff__userid="bo").locked_for == services.DISABLED


@pytest.mark.parametrize(("code", "text"), [(60020, "code 60020"), (48002, "code 48002")])
def test_a_refusal_of_wecom_names_its_code(corp: App, world: World, code: int, text: str) -> None:
    world.admin.fault("error", path="auth/getuserinfo", code=code)
    assert text in said(sign_on(Client(headers={"accept-language": "en"}), "bo"))


def test_a_silent_wecom_leaves_the_password(corp: App, world: World) -> None:
    world.admin.fault("drop_before", path="auth/getuserinfo", times=9)
    text = said(sign_on(Client(headers={"accept-language": "en"}), "bo"))
    assert "log in with a password" in text
    assert 'name="password"' in text


def test_the_second_factor_is_asked_for_all_the_same(corp: App) -> None:
    numbers = {name: getattr(login_rules.rules(), name) for name in login_rules.RANGES}
    login_rules.change(system("test"), numbers, ["adviser"])
    login_rules.forget()
    try:
        assert sign_on(Client(), "bo")["Location"] == "/login/two-factor"
    finally:
        login_rules.change(system("test"), numbers, [])
        login_rules.forget()


def test_who_manages_users_comes_in_by_wecom_only_with_a_second_factor(corp: App, cast: Cast) -> None:
    logins.link(system("test"), cast.headquarters, "bo")
    text = said(sign_on(Client(headers={"accept-language": "en"}), "bo"))
    assert "WeCom alone does not let you in" in text
    TwoFactor.objects.create(user=cast.headquarters, secret=b"x", confirmed_at=clock.wall())
    assert sign_on(Client(), "bo")["Location"] == "/login/code"


# --- being locked


def opened(userid: str) -> Client:
    browser = Client()
    assert sign_on(browser, userid).status_code == 302
    assert browser.get("/").status_code == 200
    return browser


def is_out(browser: Client, userid: str) -> bool:
    user = User.objects.get(staff__userid=userid)
    return not user.is_active and browser.get("/").status_code == 302 and not Session.objects.filter(user=user).exists()


@pytest.mark.parametrize(
    ("act", "body", "reason"),
    [
        ("staff_leaves", {"userid": "bo"}, services.LEFT),
        ("staff_changes", {"userid": "bo", "status": 2}, services.DISABLED),
    ],
)
def test_the_event_that_she_left_or_is_disabled_locks_her_at_once(
    corp: App, world: World, post_office: Post, act: str, body: dict[str, Any], reason: str
) -> None:
    browser = opened("bo")
    world.admin.call(act, body)
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    assert is_out(browser, "bo")
    assert User.objects.get(staff__userid="bo").locked_for == reason
    assert AuditEntry.objects.filter(action="user.switched", changes__reason=reason).exists()


@pytest.mark.parametrize(
    ("act", "body"), [("staff_leaves", {"userid": "bo"}), ("staff_changes", {"userid": "bo", "status": 2})]
)
def test_a_sync_finds_who_left_or_was_disabled_without_an_event(
    corp: App, world: World, act: str, body: dict[str, Any]
) -> None:
    browser = opened("bo")
    world.admin.call(act, body)
    bring_in(corp)
    assert is_out(browser, "bo")
    assert Staff.objects.get(userid="bo").active is (act == "staff_changes")


def test_the_nightly_reconciliation_locks_whom_nothing_else_told_of(corp: App, world: World) -> None:
    browser = opened("bo")
    world.admin.call("staff_leaves", {"userid": "bo"})
    nightly.begin(corp)
    jobs.run_waiting()
    assert JobRun.objects.get(kind="wecom.sync").state == JobRun.DONE
    assert is_out(browser, "bo")


def test_a_member_who_is_only_out_of_the_apps_range_is_not_locked(corp: App, world: World) -> None:
    browser = opened("bo")
    world.admin.corp("Lotus", [{"agentid": 1000002, "secret": world.secret, "allowed": {"departments": [4]}}])
    bring_in(corp)
    assert browser.get("/").status_code == 200
    assert Staff.objects.get(userid="bo").active


def test_who_is_enabled_again_comes_in_again_who_comes_back_after_leaving_does_not(corp: App, world: World) -> None:
    opened("bo")
    for status, active in ((2, False), (1, True)):
        world.admin.call("staff_changes", {"userid": "bo", "status": status})
        bring_in(corp)
        assert User.objects.get(staff__userid="bo").is_active is active
    world.admin.call("staff_leaves", {"userid": "bo"})
    bring_in(corp)
    world.admin.call("staff_joins", {"userid": "bo", "name": "Another Bo", "departments": [3]})
    bring_in(corp)
    assert not User.objects.get(staff__userid="bo").is_active
    text = said(sign_on(Client(headers={"accept-language": "en"}), "bo"))
    assert "switched off" in text
    users.set_active(system("test"), User.objects.get(staff__userid="bo"), True)
    assert sign_on(Client(), "bo").status_code == 302


def test_whom_a_person_switched_off_wecom_does_not_switch_on(corp: App) -> None:
    opened("bo")
    users.set_active(system("test"), User.objects.get(staff__userid="bo"), False)
    bring_in(corp)
    assert not User.objects.get(staff__userid="bo").is_active


def test_an_account_that_was_tied_by_hand_is_locked_too(corp: App, cast: Cast, world: World) -> None:
    logins.link(system("test"), cast.manager_a, "bo")
    world.admin.call("staff_leaves", {"userid": "bo"})
    bring_in(corp)
    cast.manager_a.refresh_from_db()
    assert (cast.manager_a.is_active, cast.manager_a.locked_for) == (False, services.LEFT)


def test_the_last_administrator_with_a_password_is_not_locked(corp: App, cast: Cast, world: World) -> None:
    logins.link(system("test"), cast.headquarters, "bo")
    browser = Client()
    browser.force_login(cast.headquarters)
    world.admin.call("staff_leaves", {"userid": "bo"})
    bring_in(corp)
    cast.headquarters.refresh_from_db()
    assert cast.headquarters.is_active
    assert browser.get("/").status_code == 302  # her sessions have ended
    assert AuditEntry.objects.filter(action="user.lock_refused").exists()
    assert browser.post("/login", {"username": "headquarters", "password": cast_of_all.PASSWORD}).status_code == 302
    second = cast_of_all.user("second", "administrator", cast.root)
    bring_in(corp)
    cast.headquarters.refresh_from_db()
    assert not cast.headquarters.is_active  # somebody else is there now
    with pytest.raises(UserRefused, match="password"):
        users.set_active(system("test"), second, False)


def test_an_administrator_without_a_password_does_not_count_as_the_last_resort(corp: App, cast: Cast) -> None:
    opened("bo")
    bo = User.objects.get(staff__userid="bo")
    users.give(system("test"), bo, "administrator", cast.root)
    grant = Grant.objects.get(user=cast.headquarters, role="administrator")
    with pytest.raises(UserRefused):
        users.take(system("test"), grant)


# --- moving


def test_who_moves_gets_the_other_store_and_loses_the_former(
    corp: App, cast: Cast, world: World, post_office: Post
) -> None:
    browser = opened("bo")
    world.admin.departments([{"id": 5, "name": "Store B"}])
    bring_in(corp)
    world.admin.call("staff_changes", {"userid": "bo", "departments": [5], "leads": [5]})
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    assert held("bo") == {("store_manager", "store:B")}
    assert Staff.objects.select_related("store").get(userid="bo").store.code == "B"  # type: ignore[union-attr]
    assert browser.get("/").status_code == 302  # rights changed: log in again
    Grant.objects.create(user=User.objects.get(staff__userid="bo"), role="analyst", org_node=cast.root)
    world.admin.call("staff_changes", {"userid": "bo", "departments": [4]})
    bring_in(corp)
    assert held("bo") == {("analyst", "brand")}  # what a person gave stays


def test_a_department_that_a_person_places_lets_its_members_in(corp: App, cast: Cast) -> None:
    assert services.unmatched(corp.corp, places.tree(corp.corp)) == [4]
    department = Department.objects.get(number=4)
    places.decide(system("test"), department, cast.store_b)
    assert Staff.objects.get(userid="carl").store == cast.store_b
    assert services.unmatched(corp.corp, places.tree(corp.corp)) == []
    sign_on(Client(), "carl")
    assert held("carl") == {("adviser", "store:B")}
    places.decide(system("test"), department, None)
    services.settle(corp.corp)
    assert held("carl") == set()
    bring_in(corp)  # a sync does not undo what a person decided
    assert services.unmatched(corp.corp, places.tree(corp.corp)) == []


def test_a_rule_of_the_brand_gives_its_role_and_takes_it(corp: App, cast: Cast) -> None:
    row = services.add_rule(system("test"), corp.corp, services.Said(4, RoleRule.ALL, "analyst", cast.root))
    sign_on(Client(), "carl")
    assert held("carl") == {("analyst", "brand")}
    services.remove_rule(system("test"), row)
    services.settle(corp.corp)
    assert held("carl") == set()
    with pytest.raises(services.RuleRefused, match="by_hand_only"):
        services.add_rule(system("test"), corp.corp, services.Said(4, RoleRule.ALL, "administrator", cast.root))


def test_untying_takes_what_the_department_gave(corp: App) -> None:
    opened("bo")
    bo = User.objects.get(staff__userid="bo")
    logins.link(system("test"), bo, "")
    assert not Grant.objects.filter(user=bo).exists()
    sign_on(Client(), "bo")
    assert User.objects.get(staff__userid="bo").username == "bo-2"


def test_a_renamed_member_keeps_her_account(corp: App, world: World, post_office: Post) -> None:
    opened("bo")
    world.admin.call("staff_renamed", {"userid": "bo", "new_userid": "bobo"})
    post_office.deliver(post_office.take(1))
    callbacks.run_once()
    assert sign_on(Client(), "bobo").status_code == 302
    assert User.objects.get(staff__userid="bobo").username == "bo"
    assert Member.objects.filter(userid="bo").count() == 0


# --- pages


@pytest.fixture
def boss(corp: App, cast: Cast) -> Client:
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(cast.headquarters)
    return browser


def test_the_repair_page_shows_and_repairs_unmatched_departments(boss: Client, cast: Cast) -> None:
    page = boss.get("/settings/wecom/departments/").text
    assert "1 department with members is no store" in page
    assert "Brand team" in boss.get("/settings/wecom/departments/?show=unmatched").text
    wrong = boss.post("/settings/wecom/departments/4/", {"what": "store", "store": "Nowhere"})
    assert (wrong.status_code, "No store has this code or name" in wrong.text) == (422, True)
    boss.post("/settings/wecom/departments/4/", {"what": "store", "store": "B"})
    assert "Every department with members has its place." in boss.get("/settings/wecom/departments/").text
    entry = AuditEntry.objects.get(action="wecom.department_placed")
    assert entry.changes["store"] == ["name", "B"]


def test_a_department_with_a_store_in_its_name_is_suggested(boss: Client, world: World, corp: App) -> None:
    world.admin.departments([{"id": 6, "name": "store b（自营）"}])
    world.admin.staff([{"userid": "eve", "name": "Eve", "departments": [6]}])
    bring_in(corp)
    page = boss.get("/settings/wecom/departments/?show=unmatched").text
    assert re.search(r'name="store" value="B">Is Store B', page)


def test_the_rules_page_adds_refuses_and_removes(boss: Client, cast: Cast) -> None:
    page = boss.get("/settings/users/sign-on/").text
    assert "every department that is a store" in page
    assert "headquarters" in page  # who comes in when WeCom fails
    wrong = boss.post(
        "/settings/users/sign-on/", {"department": "4", "members": "all", "role": "administrator", "org_node": ""}
    )
    assert wrong.status_code == 422
    boss.post(
        "/settings/users/sign-on/", {"department": "4", "members": "all", "role": "analyst", "org_node": cast.root.pk}
    )
    rule = RoleRule.objects.get(department=4)

    def order() -> list[int]:
        return list(RoleRule.objects.order_by("position", "id").values_list("pk", flat=True))

    assert order()[0] == rule.pk  # what is added stands ahead
    others = order()[1:]
    boss.post(f"/settings/users/sign-on/rules/{rule.pk}/move", {"to": "up"})
    assert order() == [rule.pk, *others]
    boss.post(f"/settings/users/sign-on/rules/{rule.pk}/move", {"to": "down"})
    assert order() == [others[0], rule.pk, *others[1:]]
    boss.post(f"/settings/users/sign-on/rules/{rule.pk}/move", {"to": "up"})
    assert order() == [rule.pk, *others]
    boss.post(f"/settings/users/sign-on/rules/{rule.pk}/remove")
    assert not RoleRule.objects.filter(department=4).exists()
    boss.post("/settings/users/sign-on/switch", {"on": "0"})
    assert not App.objects.get().sign_on


@pytest.fixture(autouse=True)
def forget_clients() -> Any:
    yield
    for client in wecom_client._clients.values():
        client.close()
    wecom_client._clients.clear()
