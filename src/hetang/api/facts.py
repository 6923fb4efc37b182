"""`POST /api/v1/facts`: facts from tills, shops and other systems."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Router

from hetang.api.app import PROBLEM_SCHEMA, Problem, ScopedKey, charge, with_limits
from hetang.facts import intake, kinds, rules
from hetang.facts.errors import MalformedBatch
from hetang.facts.messages import refusal_text

router = Router(tags=["facts"])

_FACT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "key", "occurred_at"],
    "additionalProperties": False,
    "properties": {
        "kind": {"type": "string", "enum": [kind.name for kind in kinds.KINDS.values() if kind.external]},
        "key": {"type": "string", "minLength": 1, "maxLength": rules.MAX_KEY},
        "occurred_at": {"type": "string", "format": "date-time"},
        "who": {
            "type": "array",
            "maxItems": rules.MAX_IDENTITIES,
            "items": {
                "type": "object",
                "required": ["kind", "value"],
                "additionalProperties": False,
                "properties": {
                    "kind": {"type": "string", "enum": sorted(rules.IDENTITY_KINDS)},
                    "value": {"type": "string", "minLength": 1, "maxLength": rules.MAX_IDENTITY},
                },
            },
        },
        "name": {"type": "string", "maxLength": intake.MAX_NAME},
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
_COUNT = {"type": "integer", "minimum": 0}
_SAID_OF_FACTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["index", "key", "code", "detail", "fields"],
        "additionalProperties": False,
        "properties": {
            "index": _COUNT,
            "key": {"type": "string"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "fields": {"type": "object"},
        },
    },
}
_OUTCOME_SCHEMA = {
    "type": "object",
    "required": ["accepted", "duplicates", "rejected"],
    "additionalProperties": False,
    "properties": {
        "accepted": _COUNT,
        "duplicates": _COUNT,
        "rejected": _SAID_OF_FACTS,
        "remarks": _SAID_OF_FACTS,
    },
}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_RESPONSES = {
    200: _answer("Durable: what was accepted, what was known, what was refused", _OUTCOME_SCHEMA),
    400: _answer("The request as a whole cannot be read", PROBLEM_SCHEMA),
    401: _answer("The key is missing, unknown, revoked or over, or may not do this", PROBLEM_SCHEMA),
    413: _answer("The request is too large: send fewer facts at once", PROBLEM_SCHEMA),
    422: _answer("Every fact was refused", _OUTCOME_SCHEMA),
    429: _answer("Too many requests or facts in a minute; `Retry-After` says how long to wait", PROBLEM_SCHEMA),
    503: _answer("Nothing was acknowledged: send the same again in a moment", PROBLEM_SCHEMA),
}


@router.post(
    "",
    auth=ScopedKey("facts:write"),
    summary="Send 1 to 1,000 facts",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST_SCHEMA}}},
        "responses": _RESPONSES,
    },
)
def send_facts(request: HttpRequest) -> HttpResponse:
    """Durable once answered. Repeating a request is harmless: a fact counts once by its source and key.

    Facts that cannot be taken are listed in `rejected`, kept on the operations page, and do not hold up the others.
    The answer is 422 when every fact was refused, 400 when the request as a whole cannot be read. `remarks`, where
    there are any, say what to know of facts that were taken: a consent that does not count for want of a legal basis.

    A key may send so many requests and facts a minute: `RateLimit-Policy` says how many, `RateLimit` what is left.
    What is too much is answered with 429, and nothing of it is taken; send it again after `Retry-After` seconds.
    """
    try:
        outcome = intake.receive(request.body, admit=lambda count: charge(request, count))
    except MalformedBatch as fault:
        raise Problem(400, fault.code, refusal_text(fault.code, fault.detail), dict(fault.detail)) from None
    body: dict[str, Any] = {
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "rejected": [_said(one) for one in outcome.rejected],
    }
    if outcome.remarks:
        body["remarks"] = [_said(one) for one in outcome.remarks]
    taken = outcome.accepted + outcome.duplicates
    answer = HttpResponse(msgspec.json.encode(body), content_type="application/json", status=200 if taken else 422)
    return with_limits(request, answer)


def _said(one: intake.Rejection) -> dict[str, Any]:
    """A refusal or a remark, in the language of the caller."""
    return {
        "index": one.index,
        "key": one.key,
        "code": one.code,
        "detail": refusal_text(one.code, one.detail),
        "fields": one.detail,
    }
