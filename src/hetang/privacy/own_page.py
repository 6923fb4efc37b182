"""A customer's own privacy page: the link that leads to it, the question who she is, what she may do there.

Whoever has the link sees little, masked, and may do what harms nobody: withdraw, object, be left alone. Seeing
everything, setting something right and being erased need an answer that only she (or whoever knows her well) can give:
the phone number, the e-mail address or the member number that we know. After five wrong answers the link is over, and
after fifteen on her links of a day no answer counts: else who makes links could guess a masked number by making many.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from hetang.customers import queries
from hetang.customers.models import Customer, Identity
from hetang.facts.errors import Refusal
from hetang.facts.rules import DIRECT_KINDS, normalise_identity
from hetang.platform import audit, clock, signed_tokens
from hetang.platform.access import Actor
from hetang.platform.holdings import Checkpoint, Holding, Person
from hetang.platform.sealing import lookup_keys, seal, unseal
from hetang.privacy import limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import PrivacyLink, PrivacyRequest

SOURCE = "h5"  # of the facts that a customer makes on her page
CUSTOMER = "customer"  # what the audit log calls whoever acts there
MISSES = 5
MISSES_A_DAY = 15  # over all links of one customer
KNOWN_FOR = timedelta(minutes=30)  # after a right answer
TEXT = 1_000
_LINK, _KNOWN = "own-page", "own-page-known"
# What somebody may be asked for, the first that we know of her.
QUESTIONS = ("phone", "email", "member", "card")


@dataclass(frozen=True)
class Visit:
    """Somebody who came by a link. `customer` is None once her data are erased."""

    link: PrivacyLink
    customer: Customer | None


def make_link(actor: Actor, customer: Customer) -> PrivacyLink:
    """A link for a customer whom the caller may change; earlier ones of hers are over. Raises Forbidden."""
    actor.require("customers:edit")
    now = clock.wall()
    with transaction.atomic():
        end_links(actor, customer)
        link = PrivacyLink.objects.create(
            customer=customer.pk,
            customer_id_shown=customer.public_id,
            made_at=now,
            made_by_id=actor.user_id,
            expires_at=now + timedelta(hours=limits.current().link_hours),
        )
        audit.record(actor, "privacy.link_made", "customer", customer.public_id, {"until": link.expires_at.isoformat()})
    return link


def end_links(actor: Actor, customer: Customer) -> int:
    """End her links at once; returns how many were alive. Raises Forbidden."""
    actor.require("customers:edit")
    ended = _alive().filter(customer=customer.pk).update(ended_at=clock.wall())
    if ended:
        audit.record(actor, "privacy.link_ended", "customer", customer.public_id, {"links": ended})
    return ended


def link_of(customer: Customer) -> PrivacyLink | None:
    """Her link, if one is alive."""
    return _alive().filter(customer=customer.pk).order_by("-id").first()


def token_of(link: PrivacyLink) -> str:
    """What the address of the link ends in."""
    return signed_tokens.make(_LINK, link.public_id.bytes, link.expires_at)


def visit(token: str) -> Visit | None:
    """Who came by this token; None for one that is forged, over or ended. Whoever was merged is her survivor."""
    body = signed_tokens.read(_LINK, token)
    link = _alive().filter(public_id=UUID(bytes=body)).first() if body is not None and len(body) == 16 else None
    if link is None:
        return None
    try:
        customer: Customer | None = queries.current(link.customer_id_shown)
    except Customer.DoesNotExist:
        customer = None
    return Visit(link, None if customer is None or customer.erased_at else customer)


def note_opened(link: PrivacyLink) -> None:
    """Count a look at the page."""
    PrivacyLink.objects.filter(pk=link.pk).update(opened=F("opened") + 1, opened_at=clock.wall())


def _alive() -> QuerySet[PrivacyLink]:
    return PrivacyLink.objects.filter(ended_at=None, expires_at__gt=clock.wall())


# who she is -----------------------------------------------------------------------------------------------------------


def question_for(customer: Customer) -> str:
    """The kind of identity that she is asked for; empty when we know none that she could tell."""
    kinds = set(Identity.objects.filter(customer=customer, kind__in=QUESTIONS).values_list("kind", flat=True))
    return next((kind for kind in QUESTIONS if kind in kinds), "")


def is_she(visit: Visit, answer: str) -> bool:
    """Whether the answer is right. Each try is counted before it is looked at; the last wrong one ends the link.

    Raises PrivacyRefused when there were too many: link_over, tries_over (of a day).
    """
    if _missed_lately(visit.link.customer) >= MISSES_A_DAY:
        raise PrivacyRefused("tries_over")
    if visit.customer is None or not _take_try(visit.link):
        raise PrivacyRefused("link_over")
    kind = question_for(visit.customer)
    if kind and _fits(visit.customer, kind, answer):
        PrivacyLink.objects.filter(pk=visit.link.pk).update(misses=0)
        return True
    over = PrivacyLink.objects.filter(pk=visit.link.pk, misses__gte=MISSES, ended_at=None)
    if over.update(ended_at=clock.wall()):
        audit.record(CUSTOMER, "privacy.link_failed", "customer", visit.link.customer_id_shown, {"tries": MISSES})
        raise PrivacyRefused("link_over")
    return False


def _missed_lately(number: int) -> int:
    """Wrong answers on links made for her in a day. One link is alive at a time, so many at once get no further."""
    since = clock.wall() - timedelta(days=1)
    links = PrivacyLink.objects.filter(customer=number, made_at__gt=since)
    return links.aggregate(sum=Sum("misses"))["sum"] or 0


def _take_try(link: PrivacyLink) -> bool:
    tries = PrivacyLink.objects.filter(pk=link.pk, misses__lt=MISSES, ended_at=None)
    return bool(tries.update(misses=F("misses") + 1))


def _fits(customer: Customer, kind: str, answer: str) -> bool:
    try:
        value = normalise_identity(kind, answer)
    except Refusal:
        return False
    keys = lookup_keys(kind, value) if kind in DIRECT_KINDS else [value]
    return Identity.objects.filter(customer=customer, kind=kind, key__in=keys).exists()


def known_token(link: PrivacyLink) -> str:
    """What a browser keeps after the right answer, for half an hour."""
    return signed_tokens.make(_KNOWN, link.public_id.bytes, min(clock.wall() + KNOWN_FOR, link.expires_at))


def is_known(link: PrivacyLink, token: str) -> bool:
    """Whether this browser gave the right answer for this link lately."""
    return signed_tokens.read(_KNOWN, token) == link.public_id.bytes


# what she asks for ----------------------------------------------------------------------------------------------------


def ask(
    customer: Customer,
    kind: str,
    text: str,
    *,
    objects: bool = False,
    came_by: str = "page",
    actor: Actor | None = None,
) -> PrivacyRequest:
    """Enter a request, to be answered within the days that the brand set. Raises PrivacyRefused: request_open,
    text_missing."""
    text = text.strip()[:TEXT]
    if kind != PrivacyRequest.ERASE and len(text) < 2:
        raise PrivacyRefused("request_text_missing")
    now = clock.now()
    try:
        with transaction.atomic():
            made = PrivacyRequest.objects.create(
                customer=customer.pk,
                customer_id_shown=customer.public_id,
                kind=kind,
                objects_to_return=objects,
                text=seal(text.encode()) if text else None,
                came_by=came_by,
                asked_at=now,
                due_at=now + timedelta(days=limits.current().answer_days),
                noted_by_id=actor.user_id if actor else None,
            )
            details = {"kind": kind, "by": came_by}
            audit.record(actor or CUSTOMER, "privacy.asked", "privacy_request", made.public_id, details)
    except IntegrityError as clash:
        raise PrivacyRefused("request_open") from clash
    return made


def requests_of(customer: Customer) -> list[PrivacyRequest]:
    """Hers, the newest first."""
    return list(PrivacyRequest.objects.filter(customer_id_shown=customer.public_id).order_by("-id")[:20])


def text_of(request: PrivacyRequest) -> str:
    """In her words; empty when it was erased."""
    return unseal(request.text).decode() if request.text else ""


# what is held of her here ---------------------------------------------------------------------------------------------


def _held(person: Person) -> tuple[Any, Any]:
    links = PrivacyLink.objects.filter(customer__in=person.numbers, ended_at=None, expires_at__gt=clock.wall())
    words = PrivacyRequest.objects.filter(customer__in=person.numbers).filter(Q(text__isnull=False) | ~Q(answer=""))
    return links, words


def _count(person: Person) -> int:
    return sum(rows.count() for rows in _held(person))


def _erase(person: Person, _checkpoint: Checkpoint) -> int:
    links, words = _held(person)
    return int(links.update(ended_at=clock.wall()) + words.update(text=None, answer=""))


def _tell(person: Person) -> list[dict[str, Any]]:
    rows = PrivacyRequest.objects.filter(customer__in=person.numbers).order_by("id")
    return [
        {"asked_at": one.asked_at, "kind": one.kind, "text": text_of(one), "state": one.state, "answer": one.answer}
        for one in rows
    ]


HOLDINGS = [
    Holding(
        "own_page",
        _("Links to her privacy page, and what she asked for"),
        _count,
        _erase,
        _tell,
        _("That she asked, when, and when it was done, without her words."),
    )
]
