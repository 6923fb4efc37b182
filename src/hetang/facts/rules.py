"""What a fact must look like, without the database: identities, keys, times. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hetang.facts.errors import Refusal

# Direct identifiers are stored as a keyed hash and a sealed value; the others are pseudonyms of some system.
DIRECT_KINDS = frozenset({"phone", "email"})
IDENTITY_KINDS = frozenset({"member", "card", "unionid", "openid", "external_userid"}) | DIRECT_KINDS
SOURCE_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")
MAX_KEY = 200
MAX_IDENTITY = 120
MAX_IDENTITIES = 10
MAX_DECIDED = 1000  # of a decision about two people, which names all identities of both
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE_TOLERANCE = timedelta(days=1)  # clocks of tills drift; more than a day ahead is a mistake

_PHONE_NOISE = re.compile(r"[\s\-().]")
_PHONE = re.compile(r"\+?[0-9]{5,20}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def check_source(source: str) -> None:
    """Raise Refusal unless the source is a short lower-case name."""
    if not SOURCE_PATTERN.fullmatch(source):
        raise Refusal("bad_source", {"limit": 60})


def check_key(key: str) -> None:
    """Raise Refusal unless the key is 1 to 200 printable characters."""
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise Refusal("bad_key", {"limit": MAX_KEY})


def check_time(occurred_at: datetime, now: datetime) -> None:
    """Raise Refusal for a time without zone, before 1990 or more than a day ahead of `now`."""
    if occurred_at.tzinfo is None:
        raise Refusal("time_without_zone")
    if occurred_at < EARLIEST:
        raise Refusal("time_too_early")
    if occurred_at > now and occurred_at - now > FUTURE_TOLERANCE:
        raise Refusal("time_in_future")


def normalise_identity(kind: str, value: str) -> str:
    """The one form of an identity by which equal ones meet. Raises Refusal for unknown kinds and unusable values.

    Phones: separators dropped, `+86`/`0086` dropped for mainland numbers. E-mail: lower case.
    """
    if kind not in IDENTITY_KINDS:
        raise Refusal("unknown_identity_kind", {"kind": kind[:20]})
    value = value.strip()
    if not 1 <= len(value) <= MAX_IDENTITY or not value.isprintable():
        raise Refusal("bad_identity", {"kind": kind})
    if kind not in DIRECT_KINDS:
        return value
    if kind == "phone":
        return _normalise_phone(value)
    if not _EMAIL.fullmatch(value):
        raise Refusal("bad_identity", {"kind": kind})
    return value.lower()


def normalise_identities(who: Sequence[tuple[str, str]], limit: int = MAX_IDENTITIES) -> list[tuple[str, str]]:
    """All identities of a fact, normalised, without repetition, in the order given."""
    if len(who) > limit:
        raise Refusal("too_many_identities", {"limit": limit})
    if len(who) == 1:  # most facts
        kind, value = who[0]
        return [(kind, normalise_identity(kind, value))]
    return list(dict.fromkeys((kind, normalise_identity(kind, value)) for kind, value in who))


def subject_of(who: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The identity that a fact belongs to: the first that is no phone or e-mail address, else the first.

    A phone may turn out to be a shop's or a family's; the member who is named beside it stays whoever she is.
    """
    if not who:
        return None
    if who[0][0] not in DIRECT_KINDS:
        return who[0]
    return next((one for one in who if one[0] not in DIRECT_KINDS), who[0])


def _normalise_phone(value: str) -> str:
    digits = _PHONE_NOISE.sub("", value)
    if not _PHONE.fullmatch(digits):
        raise Refusal("bad_identity", {"kind": "phone"})
    for prefix in ("+86", "0086"):
        if digits.startswith(prefix) and len(digits) == len(prefix) + 11:
            return digits.removeprefix(prefix)
    return digits
