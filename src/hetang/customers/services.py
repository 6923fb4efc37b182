"""Verbs on customers for people who work here. Each writes a fact of source `console`, which the stream then folds in;
what is shown follows within the second. The caller checks permissions and writes the audit row, in one transaction.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from hetang.customers.errors import BasisMissing, DuplicateName, NoIdentity, TagKept
from hetang.customers.minors import ANY_CHANNEL
from hetang.customers.models import NEEDS_BASIS, UNKNOWN_BASIS, Identity, KeptTag, Tag, TagGroup
from hetang.facts import intake
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import clock
from hetang.platform.models import User
from hetang.platform.sealing import unseal

SOURCE = "console"
PERSONALISATION = "personalisation"


def change_tag(number: int, tag: str, on: bool, expires_at: datetime | None = None) -> None:
    """Put a tag (by its code) on a customer, or take it off. Raises Tag.DoesNotExist, TagKept, NoIdentity."""
    if KeptTag.objects.filter(tag=Tag.objects.get(code=tag, archived_at=None)).exists():
        raise TagKept(tag)
    record_of(number, "tag.changed", {"tag": tag, "on": on, "expires_at": expires_at})


def set_do_not_disturb(number: int, on: bool, until: datetime | None = None, *, source: str = SOURCE) -> None:
    """Leave a customer alone, for ever or until a time, or lift that. Raises NoIdentity."""
    record_of(number, "do_not_disturb.changed", {"on": on, "until": until if on else None}, source=source)


def change_consent(
    number: int,
    purpose: str,
    channel: str,
    *,
    given: bool,
    basis: str = "consent",
    text_version: str = "",
    source: str = SOURCE,
) -> None:
    """Note that a customer gave or withdrew a consent, on which basis. Raises BasisMissing for a marketing consent that
    could not count, Refusal for unknown words, NoIdentity."""
    if given and basis == UNKNOWN_BASIS and purpose in NEEDS_BASIS:
        raise BasisMissing(purpose)
    body = {"purpose": purpose, "channel": channel, "given": given, "basis": basis, "text_version": text_version}
    record_of(number, "consent.changed", body, source=source)


def set_personalisation(number: int, allowed: bool, *, source: str = SOURCE) -> None:
    """Note that a customer objects to being chosen by what is known of her, or does so no longer. Raises NoIdentity."""
    basis = "consent" if allowed else "unknown"
    change_consent(number, PERSONALISATION, ANY_CHANNEL, given=allowed, basis=basis, source=source)


def create_group(name: str, exclusive: bool = False) -> TagGroup:
    """A new group of tags; of an exclusive one a customer has at most one. Raises DuplicateName."""
    try:
        with transaction.atomic():
            return TagGroup.objects.create(name=name, exclusive=exclusive, position=TagGroup.objects.count())
    except IntegrityError as clash:
        raise DuplicateName(name) from clash


def change_group(group: TagGroup, name: str, owner: User | None) -> None:
    """Another name or owner for a group. Raises DuplicateName."""
    try:
        with transaction.atomic():
            TagGroup.objects.filter(pk=group.pk).update(name=name, owner=owner)
    except IntegrityError as clash:
        raise DuplicateName(name) from clash


def create_tag(group: TagGroup, name: str, code: str = "") -> Tag:
    """A new tag; without a code it gets one that nothing else has. Raises DuplicateName."""
    try:
        with transaction.atomic():
            position = Tag.objects.filter(group=group).count()
            return Tag.objects.create(
                group=group, name=name, code=code or f"t{uuid.uuid4().hex[:12]}", position=position
            )
    except IntegrityError as clash:
        raise DuplicateName(name) from clash


def record_of(
    number: int, kind: str, body: dict[str, Any], *, source: str = SOURCE, key: str = "", name: str | None = None
) -> None:
    """Record a fact about a customer; without a `key` it is one of its own. Raises Refusal, NoIdentity."""
    draft = Draft(kind, key or uuid.uuid4().hex, clock.now(), [_identity_of(number)], body, None, name)
    outcome = intake.record(source, [draft], door="console")
    if outcome.rejected:
        refused = outcome.rejected[0]
        raise Refusal(refused.code, refused.detail)


def _identity_of(number: int) -> tuple[str, str]:
    """An identity that names the customer in a fact, in the plain: a pseudonym if she has one."""
    rows = sorted(Identity.objects.filter(customer=number)[:50], key=lambda row: (row.kind in DIRECT_KINDS, row.pk))
    for row in rows:
        if row.kind not in DIRECT_KINDS:
            return row.kind, row.key
        if row.sealed is not None:
            return row.kind, unseal(row.sealed).decode()
    raise NoIdentity(str(number))


def rename_tag(tag: Tag, name: str) -> None:
    """Another name for a tag; facts and rules go by its code. Raises DuplicateName."""
    try:
        with transaction.atomic():
            Tag.objects.filter(pk=tag.pk).update(name=name)
    except IntegrityError as clash:
        raise DuplicateName(name) from clash


def archive_tag(tag: Tag) -> bool:
    """Take a tag out of use: it can be put on nobody any more, and stays where it is. False if it was archived."""
    return Tag.objects.filter(pk=tag.pk, archived_at=None).update(archived_at=clock.now()) == 1
