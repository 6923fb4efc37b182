"""The page that connects WeCom, and the trial with a simulated one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from hetang.connectors.wecom import client as wecom_client
from hetang.connectors.wecom import services
from hetang.connectors.wecom.errors import NotSent, WeComError
from hetang.connectors.wecom.models import App, Corp, Skipped, SyncRun
from hetang.customers.models import Relation
from hetang.demo import trial
from hetang.platform import brand, clock, environment
from hetang.platform.jobs import Work
from hetang.platform.models import AuditEntry, JobRun
from hetang.platform.sealing import unseal
from hetang.privacy.models import Export
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.taking_out import exported
from tests.simulator.process import SimulatorProcess

VALUES = {"name": "Lotus", "corpid": "ww0123", "agentid": "1000002", "secret": "s3cret"}


def answers(monkeypatch: pytest.MonkeyPatch, outcome: int | Exception) -> None:
    def asked(app: App) -> int:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(services, "members_with_customers", asked)


def test_a_connection_that_works_brings_staff_and_friends_in(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 12)
    page = headquarters.post("/settings/wecom/", VALUES, follow=True).text
    assert "Connected: 12 members serve customers." in page
    assert JobRun.objects.get().kind == "wecom.sync"
    app = App.objects.get()
    assert (unseal(app.secret).decode(), app.corp.simulated) == ("s3cret", False)
    assert "s3cret" not in page
    assert "s3cret" not in str(AuditEntry.objects.get(action="wecom.connected").changes)
    headquarters.post("/settings/wecom/sync")
    assert JobRun.objects.count() == 1  # one at a time


def test_saving_again_keeps_the_secret_and_the_keys_of_the_callback(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 1)
    headquarters.post("/settings/wecom/", VALUES)
    before = App.objects.get()
    headquarters.post("/settings/wecom/", VALUES | {"name": "Renamed", "secret": ""})
    after = App.objects.get()
    assert (unseal(after.secret), after.corp.name) == (b"s3cret", "Renamed")
    token = unseal(after.callback_token or b"").decode()
    assert token == unseal(before.callback_token or b"").decode()
    assert token not in headquarters.get("/settings/wecom/").text
    assert token in headquarters.post("/settings/wecom/keys").text
    assert AuditEntry.objects.filter(action="wecom.keys_shown").exists()


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (WeComError("x", 60020), "trusted IPs"),
        (WeComError("x", 40013), "does not know this corp ID"),
        (WeComError("x", 99999), "code 99999"),
        (NotSent("x"), "does not answer this server"),
    ],
)
def test_a_connection_that_fails_says_what_to_do(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str
) -> None:
    answers(monkeypatch, problem)
    page = headquarters.post("/settings/wecom/", VALUES, follow=True).text
    assert said in page
    assert App.objects.count() == 1
    assert not JobRun.objects.exists()


def test_all_that_a_sync_skipped_leaves_by_the_register_of_exports(headquarters: Client, manager: Client) -> None:
    corp = Corp.objects.create(corpid="ww1", created_at=clock.now())
    runs = [SyncRun.objects.create(corp=corp, state=SyncRun.DONE, begun_at=clock.now()) for _ in range(2)]
    Skipped.objects.bulk_create(
        Skipped(run=runs[1], kind="member", name=f"u{n:04}", reason="no_licence", code=701008, at=clock.now())
        for n in range(600)
    )
    page = headquarters.get("/settings/wecom/activity/").text
    assert "and 100 more" in page
    address = f"wecom-skipped?run={runs[1].pk}"
    assert address in page
    rows = exported(headquarters, address)
    assert len(rows) == 601
    assert rows[1][:4] == ["u0000", "Member of staff", "has no interface licence", "701008"]
    assert Export.objects.get().rows == 600
    assert exported(headquarters, "wecom-skipped") == rows  # without a number: the newest
    assert manager.get(f"/exports/new/{address}").status_code == 403
    assert headquarters.get("/exports/new/wecom-skipped?run=99999999").status_code == 404


def test_store_managers_connect_nothing(manager: Client) -> None:
    assert manager.get("/settings/wecom/").status_code == 403
    assert manager.post("/settings/wecom/", VALUES).status_code == 403
    assert not Corp.objects.exists()


def test_without_a_simulator_or_beside_a_real_corp_nothing_is_tried_out(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HETANG_SIMULATOR_URL", raising=False)
    assert headquarters.post("/settings/wecom/trial").status_code == 404
    monkeypatch.setenv("HETANG_SIMULATOR_URL", "http://127.0.0.1:9")
    answers(monkeypatch, 1)
    assert "Try it with a simulated WeCom" in headquarters.get("/settings/wecom/").text
    headquarters.post("/settings/wecom/", VALUES)
    assert "Try it with a simulated WeCom" not in headquarters.get("/settings/wecom/").text
    assert headquarters.post("/settings/wecom/trial").status_code == 404
    with pytest.raises(trial.NotATrial):
        trial.trial(Work(0, {}, ""))


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatorProcess]:
    environment.secrets_of_home()
    process = SimulatorProcess(environment.home())
    process.start()
    monkeypatch.setenv("HETANG_SIMULATOR_URL", process.url)
    with process.admin() as admin:
        admin.reset()
    yield process
    _forget_clients()
    process.stop()


def _forget_clients() -> None:
    """The next run is a process of its own and begins without connections."""
    for client in wecom_client._clients.values():
        client.close()
    wecom_client._clients.clear()


class Quiet(Work):
    """Work without a run to report to."""

    def progress(self, done: int, total: int | None = None, stage: str = "") -> None: ...

    def checkpoint(self) -> None: ...


@pytest.mark.django_db(transaction=True)
def test_the_trial_makes_the_customers_that_are_here_friends_of_the_staff(
    simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.forget()
    people.come_in(cast_of_all.make())
    known = {person.pk for person in (people.customer("m1"), people.customer("m2"), people.customer("m3"))}
    monkeypatch.setattr(trial, "FRIENDS", 1.0)
    for _time in range(2):  # a run that starts again makes nobody twice
        _forget_clients()
        trial.trial(Quiet(0, {}, ""))
        people.apply()
        friends = Relation.objects.filter(simulated=True, state=Relation.ACTIVE)
        assert {one.customer_id for one in friends} == known
        assert friends.count() == len(known)
    stores = {
        one.customer_id: one.staff.store.code for one in friends.select_related("staff__store") if one.staff.store
    }
    assert stores[people.customer("m2").pk] == "B"  # somebody of her own store
    assert Corp.objects.get().simulated
