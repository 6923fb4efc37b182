"""The public door, the inner door, and who stands there."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hetang.operations import listening
from hetang.platform.models import AuditEntry, Session, User
from tests.console.cast import PASSWORD, Cast

PROXY = {
    "REMOTE_ADDR": "10.1.1.1",
    "HTTP_X_FORWARDED_FOR": "198.51.100.7",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_HOST": "testserver",
}
PUBLIC = ("/wecom/callback/", "/l/", "/api/v1/facts", "/static/", "/h5/")


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the public listener (middleware is built with the first request)."""
    monkeypatch.setenv("HETANG_LISTENER", "public")
    return Client()


@pytest.fixture
def behind_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("HETANG_TRUSTED_PROXIES", "10.0.0.0/8")
    listening.trusted_proxies.cache_clear()
    yield Client(enforce_csrf_checks=True, **PROXY)
    monkeypatch.undo()
    listening.trusted_proxies.cache_clear()


@pytest.mark.django_db
def test_the_public_listener_serves_what_is_meant_for_the_public_and_nothing_else(public: Client) -> None:
    served = {path for path in _addresses() if public.get(path).content != b"not found\n"}
    assert served
    assert {path for path in served if not path.startswith(PUBLIC)} == set()
    assert public.post("/api/v1/facts", b"{}", content_type="application/json").status_code == 401
    for path in (
        "/",
        "/login",
        "/api/v1/docs",
        "/api/v1/openapi.json",
        "/metrics",
        "//l/x",
        "/l",
        "/operations/alerts/",
    ):
        assert public.get(path).status_code == 404, path
        assert "Set-Cookie" not in public.get(path).headers
    assert public.get("/healthz").content == b"ok\n"
    assert public.get("/readyz").content in (b"impaired\n", b"ready\n")


@pytest.mark.django_db
def test_a_wrong_short_link_is_answered_by_a_page_without_cookie_menu_and_way_into_the_console(public: Client) -> None:
    answer = public.get("/l/wrong", headers={"Accept-Language": "zh-CN"})
    assert answer.status_code == 404
    assert "Set-Cookie" not in answer.headers
    assert not answer.cookies
    assert "链接不完整或已失效" in answer.content.decode()
    assert 'href="/"' not in answer.content.decode()


@pytest.mark.django_db
def test_its_parts_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_LISTENER", "public")
    monkeypatch.setenv("HETANG_PUBLIC_PARTS", "links")
    client = Client()
    assert client.get("/l/none").content != b"not found\n"
    assert client.post("/api/v1/facts").content == b"not found\n"


def test_behind_a_trusted_proxy_the_caller_is_noted_and_https_is_known(behind_proxy: Client, cast: Cast) -> None:
    page = behind_proxy.get("/login")
    assert page.wsgi_request.is_secure()
    form = {"username": "headquarters", "password": PASSWORD, "csrfmiddlewaretoken": page.cookies["hetang_csrf"].value}
    entered = behind_proxy.post("/login", form, HTTP_ORIGIN="https://testserver")
    assert entered.status_code == 302, "the origin is that of the proxy's https address"
    assert AuditEntry.objects.get(action="session.opened").address == "198.51.100.7"
    assert Session.objects.get(user=User.objects.get(username="headquarters")).address == "198.51.100.7"


@pytest.mark.django_db
def test_metrics_behind_a_trusted_proxy_are_for_the_caller_not_for_the_proxy(
    behind_proxy: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert behind_proxy.get("/metrics").status_code == 404
    monkeypatch.setenv("HETANG_METRICS_FROM", "198.51.100.0/24")
    assert behind_proxy.get("/metrics").status_code == 200


def test_a_stranger_who_claims_to_be_a_proxy_changes_nothing(client: Client, cast: Cast) -> None:
    client.get("/login", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_FOR="1.1.1.1")
    client.post("/login", {"username": "headquarters", "password": PASSWORD}, HTTP_X_FORWARDED_FOR="1.1.1.1")
    assert AuditEntry.objects.get(action="session.opened").address == "127.0.0.1"


@pytest.mark.django_db
def test_a_name_that_is_not_ours_is_refused_with_the_setting_that_would_change_it(
    client: Client, settings: LazySettings
) -> None:
    settings.ALLOWED_HOSTS = ["hetang.example.com"]
    refused = client.get("/login", HTTP_HOST="evil.example.com", headers={"Accept-Language": "en"})
    assert refused.status_code == 400
    assert "HETANG_ALLOWED_HOSTS" in refused.content.decode()
    forwarded = {"HTTP_HOST": "hetang.example.com", "HTTP_X_FORWARDED_HOST": "evil.example.com"}
    page = client.get("/login", **forwarded)
    assert page.status_code != 400
    assert page.wsgi_request.get_host() == "hetang.example.com"


def _addresses() -> list[str]:
    """Every address of the product, with something in the place of its parameters."""
    return sorted({f"/{one}" for one in _walk(get_resolver(), "")})


def _walk(resolver: URLResolver, before: str) -> Iterator[str]:
    for one in resolver.url_patterns:
        route = before + str(one.pattern).lstrip("^")
        if isinstance(one, URLResolver):
            yield from _walk(one, route)
        elif isinstance(one, URLPattern):
            yield _filled(route)


def _filled(route: str) -> str:
    parts = []
    for part in route.split("/"):
        kind = part.strip("<>").partition(":")[0] if part.startswith("<") else ""
        parts.append({"uuid": str(uuid4()), "int": "1"}.get(kind, "x") if kind else part)
    return "/".join(parts)
