"""Several corps and apps in the console: added, listening, sending, removed; somebody always calls."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from hetang.connectors.wecom.client import connected_app
from hetang.connectors.wecom.models import App, CallbackMessage, Corp
from hetang.platform import clock
from hetang.platform.models import AuditEntry
from hetang.platform.sealing import seal, unseal

PAGE = "/settings/wecom/apps/"


@pytest.fixture
def first(headquarters: Client) -> App:
    """The app that sends."""
    corp = Corp.objects.create(corpid="ww0001", name="Lotus", is_default=True, created_at=clock.now())
    return App.objects.create(corp=corp, agentid=7, secret=seal(b"x"), changed_at=clock.now())


def add(client: Client, **said: Any) -> Any:
    return client.post(PAGE, {"corpid": "ww0001", "agentid": 5, "name": "Second", **said}, follow=True)


def test_a_second_app_listens_is_proved_and_removed(headquarters: Client, first: App) -> None:
    assert "An app that calls needs its secret." in add(headquarters).text
    assert "Added." in add(headquarters, listen_only="on").text
    assert "This app is here already." in add(headquarters, listen_only="on").text
    second = App.objects.get(agentid=5)
    assert (second.listen_only, second.corp_id, connected_app()) == (True, first.corp_id, first)
    page = headquarters.post(f"{PAGE}{second.public_id}/keys").text
    second.refresh_from_db()
    assert unseal(second.callback_token or b"").decode() in page
    assert unseal(second.callback_token or b"").decode() not in headquarters.get(PAGE).text
    CallbackMessage.objects.create(app=second, dedupe_key="k", event="e", received_at=clock.now(), body=b"x")
    assert "Removed." in headquarters.post(f"{PAGE}{second.public_id}/remove", follow=True).text
    assert list(App.objects.all()) == [first]
    assert not CallbackMessage.objects.exists()


def test_somebody_always_calls(headquarters: Client, first: App) -> None:
    assert (
        "No app of this corp would be left"
        in headquarters.post(f"{PAGE}{first.public_id}/listen", {"on": "1"}, follow=True).text
    )
    assert "This app sends everything." in headquarters.post(f"{PAGE}{first.public_id}/remove", follow=True).text
    add(headquarters, secret="s")
    second = App.objects.get(agentid=5)
    assert connected_app() == first  # a lower number takes nothing over
    assert "In reserve" in headquarters.get(PAGE).text
    headquarters.post(f"{PAGE}{first.public_id}/listen", {"on": "1"})
    assert connected_app() == second
    headquarters.post(f"{PAGE}{first.public_id}/listen", {"on": "0"})
    assert connected_app() == first


def test_another_corp_sends(headquarters: Client, first: App) -> None:
    add(headquarters, corpid="ww0002", secret="s")
    other = App.objects.get(corp__corpid="ww0002")
    assert connected_app() == first
    headquarters.post(f"{PAGE}{other.public_id}/default")
    assert connected_app() == other
    assert Corp.objects.filter(is_default=True).count() == 1
    assert "Removed." in headquarters.post(f"{PAGE}{first.public_id}/remove", follow=True).text
    assert not Corp.objects.filter(corpid="ww0001").exists()
    actions = AuditEntry.objects.filter(action__startswith="wecom.").order_by("at", "id")
    assert [one.action for one in actions] == ["wecom.app_added", "wecom.default_chosen", "wecom.app_removed"]


def test_a_corp_that_only_listens_cannot_send(headquarters: Client, first: App) -> None:
    add(headquarters, corpid="ww0002", listen_only="on")
    other = App.objects.get(corp__corpid="ww0002")
    page = headquarters.post(f"{PAGE}{other.public_id}/default", follow=True).text
    assert "No app of this corp would be left" in page
    assert connected_app() == first


def test_nobody_mixes_real_apps_with_simulated_ones(headquarters: Client, first: App) -> None:
    Corp.objects.update(simulated=True)
    assert "connected to a simulated WeCom" in add(headquarters, listen_only="on").text
    assert App.objects.count() == 1


def test_managers_of_stores_do_not_see_it(manager: Client, first: App) -> None:
    assert manager.get(PAGE).status_code == 403
