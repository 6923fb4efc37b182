"""Who lives with a customer: what is shown of the members, and the verbs that note and remove one.

Members under fourteen, and those not born yet, are shown without their birthday: it is sensitive by law (`minors`).
The verbs write facts of source `console`; the caller checks permissions and writes the audit row, in one transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from hetang.customers import life_stages, minors
from hetang.customers.errors import MemberGone
from hetang.customers.models import HouseholdMember
from hetang.customers.services import SOURCE, record_of
from hetang.platform.masking import mask
from hetang.platform.sealing import unseal


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as people may see one: the name masked; `day` (`due`: still to come) empty where it is `hidden`."""

    id: int
    kind: str
    name: str
    sex: str
    day: date | None
    due: bool
    hidden: bool
    minor: bool
    stages: tuple[str, ...]
    source: str

    @property
    def place(self) -> str:
        """The id as part of a page's names."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Described:
    """What somebody says of a member; what is empty is not known."""

    kind: str
    name: str = ""
    born_on: date | None = None
    due_on: date | None = None
    sex: str = ""


def members_of(number: int, today: date) -> tuple[MemberView, ...]:
    """The household of a customer, the eldest first. Two small queries."""
    rows = list(HouseholdMember.objects.filter(customer=number, removed=False).order_by("day", "id"))
    courses = life_stages.of_members() if rows else []
    return tuple(_view(row, courses, today) for row in rows)


def describe(number: int, said: Described, member: int | None = None) -> None:
    """Note a member, or say something else of one: then what `said` leaves empty stays as it is.

    Raises MemberGone, Refusal (a day out of range), NoIdentity.
    """
    row = _member(number, member) if member is not None else None
    name = said.name or (unseal(row.name).decode() if row and row.name else "")
    body: dict[str, Any] = {
        "member": row.member if row else uuid.uuid4().hex,
        "origin": row.origin if row and row.origin != SOURCE else None,
        "kind": said.kind,
        "born_on": said.born_on or (row.born_on if row else None),
        "due_on": said.due_on or (row.due_on if row else None),
        "sex": said.sex or (row.sex if row else "") or None,
    }
    record_of(number, "household.member_described", body, name=name or None)


def remove(number: int, member: int) -> None:
    """Take a member out of the household. Raises MemberGone, NoIdentity."""
    row = _member(number, member)
    record_of(number, "household.member_removed", {"member": row.member, "origin": row.origin})


def in_full(number: int, member: int) -> str:
    """Name and days of a member, unmasked: only for who may see them, with a reason. Raises MemberGone."""
    row = _member(number, member)
    days = [day.isoformat() for day in (row.born_on, row.due_on) if day is not None]
    return " · ".join([*([unseal(row.name).decode()] if row.name else []), *days])


def _member(number: int, member: int) -> HouseholdMember:
    row = HouseholdMember.objects.filter(pk=member, customer=number, removed=False).first()
    if row is None:
        raise MemberGone(str(member))
    return row


def _view(row: HouseholdMember, courses: list[life_stages.OfMembers], today: date) -> MemberView:
    sensitive = row.kind != HouseholdMember.PET
    minor = sensitive and row.day is not None and row.day.isoformat() > minors.born_after(today)
    found = (one.course.stage_at(row.day, today) for one in courses if one.counts(row.kind)) if row.day else ()
    return MemberView(
        id=row.pk,
        kind=row.kind,
        name=mask("name", unseal(row.name).decode(), strict=minor) if row.name else "",
        sex=row.sex,
        day=None if minor else row.day,
        due=row.born_on is None and row.due_on is not None,
        hidden=minor,
        minor=minor,
        stages=tuple(stage.name for stage in found if stage is not None),
        source=row.fact_key.partition("\x1f")[0],
    )
