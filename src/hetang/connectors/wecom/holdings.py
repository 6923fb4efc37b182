"""What the WeCom connector keeps of a person: callbacks as they came, what WeCom said of her and her friends here,
welcomes, and recipients that WeCom refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from hetang.connectors.wecom.models import (
    Avatar,
    CallbackMessage,
    CorpNotice,
    HandoverItem,
    MassReceipt,
    Pair,
    RefusedRecipient,
    Skipped,
    Unassigned,
    Welcome,
)
from hetang.platform.holdings import Checkpoint, Holding, Person
from hetang.platform.sealing import seal, unseal

CHUNK = 500
_EMPTY = b"<xml/>"


def _ids(person: Person) -> list[str]:
    return [one.value for one in person.identities if one.kind in {"external_userid", "unionid", "openid"}]


def _callbacks(person: Person) -> Iterator[int]:
    wanted = [value.encode() for value in _ids(person)]
    if not wanted:
        return
    rows = CallbackMessage.objects.filter(received_at__lte=person.at).order_by("pk").values_list("pk", "body")
    for pk, body in rows.iterator(chunk_size=CHUNK):
        clear = unseal(body)
        if any(value in clear for value in wanted):
            yield pk


def _rows(person: Person) -> Iterator[QuerySet[Any]]:
    """Rows that name her by her id, a handful each."""
    ids = _ids(person)
    yield RefusedRecipient.objects.filter(external_userid__in=ids)
    yield Pair.objects.filter(external_userid__in=ids, told_at__lte=person.at)
    yield Welcome.objects.filter(external_userid__in=ids, happened_at__lte=person.at)
    yield MassReceipt.objects.filter(key__in=ids, sent_at__lte=person.at)
    yield Avatar.objects.filter(external_userid__in=ids)
    yield Unassigned.objects.filter(external_userid__in=ids)
    yield HandoverItem.objects.filter(kind=HandoverItem.CUSTOMER, key__in=ids, handover__created_at__lte=person.at)
    yield CorpNotice.objects.filter(detail__ExternalUserID__in=ids, at__lte=person.at)
    named = Q(pk__in=[])
    for value in ids:
        named |= Q(name__contains=f":{value}:")
    yield Skipped.objects.filter(named, kind="customer", at__lte=person.at)


def _count(person: Person) -> int:
    return sum(rows.count() for rows in _rows(person)) + sum(1 for _pk in _callbacks(person))


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """Events that were not applied yet are emptied too: they would name her again."""
    found = list(_callbacks(person))
    for start in range(0, len(found), CHUNK):
        CallbackMessage.objects.filter(pk__in=found[start : start + CHUNK]).update(body=seal(_EMPTY))
        checkpoint()
    removed = 0
    for rows in _rows(person):
        removed += rows.delete()[0]
        checkpoint()
    return len(found) + removed


HOLDINGS = [
    Holding(
        "wecom",
        _("Callbacks of WeCom"),
        _count,
        _erase,
        kept=_("WeCom itself cannot be told by us: her adviser has to delete the friend there."),
        by_value=True,
    ),
]
