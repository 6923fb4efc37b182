"""`POST /api/v1/facts`: facts from tills, shops and other systems."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Router

from hetang.api.app import Problem, ScopedKey, charge, with_limits
from hetang.facts import intake, kinds
from hetang.facts.errors import MalformedBatch
from hetang.facts.messages import refusal_text

router = Router(tags=["facts"])

_FACT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "key", "occurred_at"],
    "additionalProperties": False,
    "properties": {
        "kind": {"type": "string", "enum": [kind.name for kind in kinds.KINDS.values() if kind.external]},
        "key": {"type": "string", "minLength": 1, "maxLength": 200},
        "occurred_at": {"type": "string", "format": "date-time"},
        "who": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "required": ["kind", "value"],
                "properties": {"kind": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "name": {"type": "string", "maxLength": 120},
        "body": {"type": "object"},
    },
}
_REQUEST_SCHEMA = {
    "type": "object",
    "required": ["source", "facts"],
    "additionalProperties": False,
    "properties": {
        "source": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,59}$"},
        "facts": {"type": "array", "minItems": 1, "maxItems": intake.MAX_FACTS, "items": _FACT_SCHEMA},
    },
}


@router.post(
    "",
    auth=ScopedKey("facts:write"),
    summary="Send 1 to 1,000 facts",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST_SCHEMA}}}},
)
def send_facts(request: HttpRequest) -> HttpResponse:
    """Durable once answered. Repeating a request is harmless: a fact counts once by its source and key.

    Facts that cannot be taken are listed in `rejected`, kept on the operations page, and do not hold up the others.
    The answer is 422 when every fact was refused, 400 when the request as a whole cannot be read.

    A key may send so many requests and facts a minute: `RateLimit-Policy` says how many, `RateLimit` what is left.
    What is too much is answered with 429, and nothing of it is taken; send it again after `Retry-After` seconds.
    """
    try:
        outcome = intake.receive(request.body, admit=lambda count: charge(request, count))
    except MalformedBatch as fault:
        raise Problem(400, fault.code, refusal_text(fault.code, fault.detail), dict(fault.detail)) from None
    rejected = [
        {
            "index": one.index,
            "key": one.key,
            "code": one.code,
            "detail": refusal_text(one.code, one.detail),
            "fields": one.detail,
        }
        for one in outcome.rejected
    ]
    body = {"accepted": outcome.accepted, "duplicates": outcome.duplicates, "rejected": rejected}
    taken = outcome.accepted + outcome.duplicates
    answer = HttpResponse(msgspec.json.encode(body), content_type="application/json", status=200 if taken else 422)
    return with_limits(request, answer)
