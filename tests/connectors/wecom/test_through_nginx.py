"""Callbacks through nginx with TLS, as `deploy/` sets it up."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pytest_django.live_server_helper import LiveServer

from hetang.connectors.wecom import crypto
from hetang.connectors.wecom.models import App, CallbackMessage
from hetang.connectors.wecom.services import callback_path
from hetang.operations import listening
from tests import nginx
from tests.connectors.wecom.test_callbacks import event
from tests.simulator.world import AES_KEY

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(nginx.MISSING, reason="NO NGINX: install nginx and openssl to try callbacks through it"),
]
CORP = "ww0123456789abcdef"


@pytest.fixture
def proxy(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[nginx.Nginx]:
    monkeypatch.setenv("HETANG_TRUSTED_PROXIES", "127.0.0.1")
    listening.trusted_proxies.cache_clear()
    started = nginx.start(tmp_path, int(live_server.url.rpartition(":")[2]))
    yield started
    started.stop()
    monkeypatch.undo()
    listening.trusted_proxies.cache_clear()


def ask(proxy: nginx.Nginx, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    line = http.client.HTTPSConnection("localhost", proxy.port, timeout=20, context=nginx.trusting(proxy.certificate))
    try:
        line.request(method, path, body, {"Content-Type": "text/xml"})
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


def signed(encrypted: str, **more: str) -> str:
    signature = crypto.signature("token123", "1790000000", "77", encrypted)
    return urlencode({"msg_signature": signature, "timestamp": "1790000000", "nonce": "77", **more})


def test_a_verified_callback_passes_and_is_kept(app: App, proxy: nginx.Nginx) -> None:
    path = callback_path(app)
    echo = crypto.seal_message(AES_KEY, "5927782489442352469", CORP)  # with signs that an address has to escape
    assert ask(proxy, "GET", f"{path}?{signed(echo, echostr=echo)}") == (200, b"5927782489442352469")
    sealed = crypto.seal_message(AES_KEY, event("del_follow_user"), CORP)
    body = f"<xml><ToUserName>{CORP}</ToUserName><Encrypt>{sealed}</Encrypt></xml>"
    assert ask(proxy, "POST", f"{path}?{signed(sealed)}", body) == (200, b"success")
    assert CallbackMessage.objects.values_list("change", flat=True).get() == "del_follow_user"
    assert ask(proxy, "POST", f"{path}?{signed(echo)}", body)[0] == 403  # signed for something else
    assert CallbackMessage.objects.count() == 1


def test_nothing_else_is_open(app: App, proxy: nginx.Nginx) -> None:
    assert ask(proxy, "GET", "/login")[0] == 404
    stranger = http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, timeout=20, context=ssl._create_unverified_context()
    )
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stranger.request("GET", callback_path(app))
