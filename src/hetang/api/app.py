"""The JSON API below /api/v1. Machines come in with a key that has scopes; one error shape `{code, detail, fields}`."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError
from ninja.openapi.docs import Swagger
from ninja.security import HttpBearer

from hetang.platform import api_keys, outages, rate_limits
from hetang.platform.models import ApiKey

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["code", "detail"],
    "additionalProperties": False,
    "properties": {"code": {"type": "string"}, "detail": {"type": "string"}, "fields": {"type": "object"}},
}


class ScopedKey(HttpBearer):
    """`Authorization: Bearer <key>`, with one scope."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        return api_keys.verify(token, self.scope)


def charge(request: HttpRequest, facts: int) -> None:
    """Count this request and its facts against its key. Raises Problem 429 when that is too much."""
    standing = rate_limits.charge(request.auth, facts)  # type: ignore[attr-defined]
    request.standing = standing  # type: ignore[attr-defined]
    if standing.refused:
        used = standing.of(standing.refused)
        text = {
            rate_limits.REQUESTS: _("This key may send %(limit)s requests a minute. Try again in %(wait)s seconds."),
            rate_limits.FACTS: _("This key may send %(limit)s facts a minute. Try again in %(wait)s seconds."),
        }[used.unit] % {"limit": used.limit, "wait": standing.retry_after}
        fields = {"unit": used.unit, "limit": used.limit, "retry_after": standing.retry_after}
        raise Problem(429, "too_many_requests", text, fields)


def with_limits(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response with what the key may still send."""
    standing: rate_limits.Standing | None = getattr(request, "standing", None)
    for name, value in (standing.headers() if standing else {}).items():
        response[name] = value
    return response


class Problem(Exception):
    """An error in the API's one shape."""

    def __init__(self, status: int, code: str, detail: str, fields: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fields = status, code, detail, fields


class Documentation(Swagger):
    """The page that lets one try the API out, with scripts of our own address only."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        told = json.dumps({**self.settings, "url": self.get_openapi_url(api, kwargs)})
        return render(request, self.template, {"swagger_settings": told, "api": api, "add_csrf": False})


def build() -> NinjaAPI:
    """The API with all its routes."""
    from hetang.api.facts import router

    api = NinjaAPI(title="Hetang", version="1", urls_namespace="api", docs=Documentation(), docs_url="/docs")
    api.add_router("/facts", router)

    @api.exception_handler(Exception)
    def away(request: HttpRequest, fault: Any) -> HttpResponse:
        if not outages.of(fault):
            raise fault
        detail = _("Nothing was acknowledged. Send the same again in a moment.")
        answer = api.create_response(request, {"code": "unavailable", "detail": detail}, status=503)
        answer.headers["Retry-After"] = "5"
        return answer

    @api.exception_handler(RequestDataTooBig)
    def too_big(request: HttpRequest, _fault: Any) -> HttpResponse:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
        text = _("The request is larger than %(limit)s MB. Send fewer facts at once.") % {"limit": limit}
        fields = {"limit_mb": limit}
        body = {"code": "too_large", "detail": text, "fields": fields}
        return with_limits(request, api.create_response(request, body, status=413))

    @api.exception_handler(Problem)
    def problem(request: HttpRequest, fault: Any) -> HttpResponse:
        body: dict[str, Any] = {"code": fault.code, "detail": fault.detail}
        if fault.fields:
            body["fields"] = fault.fields
        return with_limits(request, api.create_response(request, body, status=fault.status))

    @api.exception_handler(AuthenticationError)
    def stranger(request: HttpRequest, _fault: Any) -> HttpResponse:
        text = _("The key is missing, unknown, revoked or over, or may not do this.")
        response = api.create_response(request, {"code": "unauthorized", "detail": text}, status=401)
        response["WWW-Authenticate"] = "Bearer"
        return response

    return api


api = build()
