"""Answering what customers ask for: staff do it, say so, and the register keeps when and by whom."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from hetang.customers.models import Customer
from hetang.platform import audit, clock
from hetang.platform.access import Actor, own_customers
from hetang.privacy import erasing
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Erasure, PrivacyRequest


def seen_by(actor: Actor) -> QuerySet[PrivacyRequest]:
    """Requests of her own company's customers; of those who are erased, only for who sees the whole brand."""
    if not (actor.can("privacy:view") or actor.can("customers:erase")):
        return PrivacyRequest.objects.none()
    permission = "customers:erase" if actor.can("customers:erase") else "privacy:view"
    scope = actor.own_scope(permission)
    if scope.everything and not scope.without:
        return PrivacyRequest.objects.all()
    return PrivacyRequest.objects.filter(customer__in=own_customers(actor, permission).values("pk"))


def waiting(actor: Actor) -> QuerySet[PrivacyRequest]:
    """Open requests that the actor may answer, the first due first."""
    if not actor.can("customers:erase"):
        return PrivacyRequest.objects.none()
    return seen_by(actor).filter(state=PrivacyRequest.OPEN).order_by("due_at", "id")


def answer(actor: Actor, request: PrivacyRequest, *, done: bool, text: str) -> None:
    """Close a request with an answer that the customer reads. Raises Forbidden, PrivacyRefused: answer_missing,
    request_closed."""
    actor.require("customers:erase")
    text = text.strip()[:300]
    if not text:
        raise PrivacyRefused("answer_missing")
    with transaction.atomic():
        _close(actor, request, PrivacyRequest.DONE if done else PrivacyRequest.REFUSED, text)


def erase(actor: Actor, request: PrivacyRequest, text: str) -> Erasure:
    """Erase who asked for it, and close the request. Raises Forbidden, PrivacyRefused: request_closed, those of
    `erasing.order`."""
    with transaction.atomic():
        customer = Customer.objects.get(pk=request.customer)
        ordered = erasing.order(actor, customer, "asked", objects=request.objects_to_return, asked_at=request.asked_at)
        _close(actor, request, PrivacyRequest.DONE, text.strip()[:300])
        PrivacyRequest.objects.filter(pk=request.pk).update(erasure=ordered)
    return ordered


def _close(actor: Actor, request: PrivacyRequest, state: str, text: str) -> None:
    open_still = PrivacyRequest.objects.filter(pk=request.pk, state=PrivacyRequest.OPEN)
    if not open_still.update(state=state, answer=text, answered_at=clock.now(), answered_by_id=actor.user_id):
        raise PrivacyRefused("request_closed")
    details = {"kind": request.kind, "state": state}
    audit.record(actor, "privacy.answered", "privacy_request", request.public_id, details)
