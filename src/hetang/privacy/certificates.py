"""The proof of an erasure: what was removed where, what stays and why, signed; and the check, at any later time."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import override

from hetang.platform.brand import brand
from hetang.platform.holdings import NotNow, Person
from hetang.privacy.holdings import all_holdings
from hetang.privacy.models import Erasure
from hetang.privacy.seals import sign

LANGUAGES = {"zh": "zh-hans", "en": "en"}


@dataclass(frozen=True)
class Check:
    """What a check of an erasure found. `left` counts by holding; those whose store is away are in `away`."""

    signed: bool
    left: dict[str, int]
    away: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return self.signed and not any(self.left.values()) and not self.away


def make(erasure: Erasure, person: Person, left: dict[str, int], now: datetime) -> dict[str, Any]:
    """The certificate as JSON, with its digest and signature. No value that names her is in it."""
    removed = erasure.report["holdings"]
    content: dict[str, Any] = {
        "version": 1,
        "brand": brand().name,
        "erasure": str(erasure.public_id),
        "customer": str(erasure.customer_id_shown),
        "numbers": list(person.numbers),
        "until": list(person.until),
        "reason": erasure.reason,
        "objects_to_return": erasure.objects_to_return,
        "asked_at": erasure.asked_at.isoformat(),
        "ordered_at": erasure.ordered_at.isoformat(),
        "began_at": erasure.began_at.isoformat() if erasure.began_at else None,
        "done_at": now.isoformat(),
        "ordered_by": erasure.ordered_by.username if erasure.ordered_by else "",
        "identities": erasure.hashes,
        "sources": erasure.report["sources"],
        "holdings": [
            {
                "code": one.code,
                "removed": removed.get(one.code, 0),
                "left": left.get(one.code, 0),
                **{f"label_{short}": _said(one.label, language) for short, language in LANGUAGES.items()},
                **{f"kept_{short}": _said(one.kept, language) for short, language in LANGUAGES.items()},
            }
            for one in all_holdings()
        ],
    }
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return {**content, "sha256": digest, "signature": sign(f"certificate:{digest}")}


def signed(certificate: dict[str, Any]) -> bool:
    """Whether the certificate is as this installation signed it."""
    content = {name: value for name, value in certificate.items() if name not in {"sha256", "signature"}}
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return digest == certificate.get("sha256") and hmac.compare_digest(
        sign(f"certificate:{digest}"), str(certificate.get("signature", ""))
    )


def check(certificate: dict[str, Any]) -> Check:
    """Run the check of an erasure again: by her numbers, since her identities are not known any more.

    Read-only; the ledger, the sets and the plans are read once.
    """
    person = Person(
        public_ids=(certificate["customer"],),
        numbers=tuple(certificate["numbers"]),
        identities=(),
        until=tuple(certificate["until"]),
        at=datetime.fromisoformat(certificate["began_at"]),
    )
    left: dict[str, int] = {}
    away: list[str] = []
    for one in all_holdings():
        if one.by_value:
            continue
        try:
            left[one.code] = one.count(person)
        except NotNow:
            away.append(one.code)
    return Check(signed(certificate), left, tuple(away))


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _said(text: Any, language: str) -> str:
    with override(language):
        return str(text)
