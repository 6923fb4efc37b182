"""The JSON API below /api/v1. Machines come in with a key that has scopes; one error shape `{code, detail, fields}`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.security import HttpBearer

from hetang.platform import api_keys
from hetang.platform.models import ApiKey


class ScopedKey(HttpBearer):
    """`Authorization: Bearer <key>`, with one scope."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        return api_keys.verify(token, self.scope)


class Problem(Exception):
    """An error in the API's one shape."""

    def __init__(self, status: int, code: str, detail: str, fields: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fields = status, code, detail, fields


def build() -> NinjaAPI:
    """The API with all its routes."""
    from hetang.api.facts import router

    api = NinjaAPI(title="Hetang", version="1", urls_namespace="api", docs_url="/docs")
    api.add_router("/facts", router)

    @api.exception_handler(Problem)
    def problem(request: HttpRequest, fault: Any) -> HttpResponse:
        body: dict[str, Any] = {"code": fault.code, "detail": fault.detail}
        if fault.fields:
            body["fields"] = fault.fields
        return api.create_response(request, body, status=fault.status)

    return api


api = build()
