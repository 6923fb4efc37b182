"""Verbs on the queue of those who might be one person: propose, decide, put off, take back.

A pair is decided once: the proposal's state changes first, by a conditional update, and the fact is written in the same
transaction. The caller checks permissions and writes the audit row there, too.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from hetang.customers import decided, deciding
from hetang.customers.errors import KeptApart
from hetang.customers.grounds import COLLEAGUE, COLLEAGUE_WEIGHT
from hetang.customers.models import Customer, Decision, Identity, Proposal
from hetang.customers.services import SOURCE
from hetang.platform import clock

LATER = timedelta(days=30)


def propose(one: Customer, other: Customer, by: str, reason: str) -> tuple[Proposal, bool]:
    """A colleague believes that these are one person; with whether that is new. Raises ValueError for one and the same,
    KeptApart if somebody decided that they are not."""
    if one.pk == other.pk:
        raise ValueError("a customer is herself")
    low, high = sorted((one, other), key=lambda customer: customer.pk)
    if decided.kept_apart(low.pk, high.pk):
        raise KeptApart
    with transaction.atomic():
        return Proposal.objects.get_or_create(
            one=low,
            other=high,
            state=Proposal.OPEN,
            defaults={
                **{"grounds": [COLLEAGUE], "weight": COLLEAGUE_WEIGHT, "reason": reason},
                **{"proposed_at": clock.now(), "proposed_by": by},
            },
        )


def decide(proposal: Proposal, verdict: str, by: str, reason: str) -> bool:
    """They are one person (`Decision.SAME`), or they are not (`Decision.APART`). False if it was decided before.

    Raises KeptApart, NoIdentity, Refusal; then nothing is changed.
    """
    now = clock.now()
    with transaction.atomic():
        mine = Proposal.objects.filter(pk=proposal.pk, state=Proposal.OPEN)
        values = {"verdict": verdict, "decided_at": now, "decided_by": by, "later_until": None}
        if not mine.update(state=Proposal.DECIDED, rounds=F("rounds") + 1, **values):
            return False
        proposal.refresh_from_db()
        sides = [list(_identities(number)) for number in (proposal.one_id, proposal.other_id)]
        if verdict == Decision.SAME:
            if decided.kept_apart(proposal.one_id, proposal.other_id):
                raise KeptApart
            deciding.join(sides[0], sides[1], key_of(proposal), by, reason)
        else:
            deciding.keep_apart(sides[0], sides[1], key_of(proposal), by, reason)
    return True


def put_off(proposal: Proposal) -> bool:
    """Ask again in thirty days. False if it was decided meanwhile."""
    return bool(Proposal.objects.filter(pk=proposal.pk, state=Proposal.OPEN).update(later_until=clock.now() + LATER))


def take_back(proposal: Proposal, by: str) -> bool:
    """Open it again as if nobody had decided or put it off. False if there is nothing to take back."""
    again = {"state": Proposal.OPEN, "verdict": "", "decided_at": None, "decided_by": "", "later_until": None}
    with transaction.atomic():
        if Proposal.objects.filter(pk=proposal.pk, state=Proposal.OPEN).exclude(later_until=None).update(**again):
            return True
        try:
            with transaction.atomic():
                if not Proposal.objects.filter(pk=proposal.pk, state=Proposal.DECIDED).update(**again):
                    return False
        except IntegrityError:  # they are in the queue again already
            Proposal.objects.filter(pk=proposal.pk, state=Proposal.DECIDED).update(state=Proposal.WITHDRAWN)
        both = [one for number in (proposal.one_id, proposal.other_id) for one in _identities(number)]
        return deciding.lift(f"{SOURCE}\x1f{key_of(proposal)}", both, by)


def key_of(proposal: Proposal) -> str:
    """The key of the fact by which a decided proposal was decided."""
    return f"review:{proposal.pk}:{proposal.rounds}"


def _identities(number: int) -> list[int]:
    """Of a customer, or of the one into whom she was merged meanwhile."""
    customer = Customer.objects.get(pk=number)
    living = customer.merged_into_id or customer.pk
    return list(Identity.objects.filter(customer=living).order_by("pk").values_list("pk", flat=True))
