"""Departments and stores: which is which, by name or by a person's word, and who works there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from hetang.connectors.wecom.accounts.rules import Membership, Placed, Tree
from hetang.connectors.wecom.models import Corp, Department, Member
from hetang.connectors.wecom.protocol.directory import Member as Listed
from hetang.connectors.wecom.protocol.directory import OneMember
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.resources.models import Staff, Store
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

CHUNK = 5000


@dataclass(frozen=True)
class Suggestion:
    """A store that an unmatched department may be, by likeness of the names."""

    code: str
    name: str


def tree(corp: Corp) -> Tree:
    """All living departments and all stores; two queries."""
    rows = Department.objects.filter(corp=corp, gone_at=None).values_list(
        "number", "name", "parent", "decided", "store__code"
    )
    departments = {number: Placed(name, parent, decided, store) for number, name, parent, decided, store in rows}
    return Tree(departments, stores_by_name())


def stores_by_name() -> dict[str, str]:
    """Code of a store by its code and by its name; a name that two stores share places nobody."""
    found: dict[str, str] = {}
    doubled: set[str] = set()
    codes: list[str] = []
    for code, name in Store.objects.values_list("code", "name"):
        codes.append(code)
        if name in found:
            doubled.add(name)
        found[name] = code
    for name in doubled:
        del found[name]
    return found | {code: code for code in codes}


def keep(corp: Corp, told: Iterable[Listed | OneMember]) -> None:
    """Write down what WeCom says of members: one row each, in statements of some thousands."""
    now = clock.now()
    rows = {
        one.userid: Member(
            corp=corp,
            userid=one.userid,
            departments=one.department,
            leads=[at for at, leads in zip(one.department, one.is_leader_in_dept, strict=False) if leads],
            main=one.main_department,
            status=one.status,
            told_at=now,
        )
        for one in told
    }
    Member.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["corp", "userid"],
        update_fields=["departments", "leads", "main", "status", "told_at"],
        batch_size=CHUNK,
    )


def membership(member: Member) -> Membership:
    """A row as the rules read it."""
    return Membership(member.departments, frozenset(member.leads), member.main)


@transaction.atomic
def decide(actor: Actor, department: Department, store: Store | None, *, decided: bool = True) -> None:
    """Say which store a department is (None: none), or with `decided` False let its name say so again.

    Its members, and those of the departments below it, work there from now on. Raises Forbidden.
    """
    actor.require_everywhere("settings:edit")
    row = Department.objects.select_for_update().get(pk=department.pk)
    before = (row.store.code if row.store else "") if row.decided else "name"
    row.store, row.decided = (store if decided else None), decided
    row.save(update_fields=["store", "decided"])
    after = (store.code if store else "") if decided else "name"
    audit.record(
        actor, "wecom.department_placed", "wecom_department", row.number, {"name": row.name, "store": [before, after]}
    )
    place_staff(row.corp, members_below(row.corp, [row.number]))


def members_below(corp: Corp, numbers: Collection[int]) -> list[Member]:
    """Members of departments and of all below them."""
    known = tree(corp)
    wanted = [number for number in known.departments if set(known.above(number)) & set(numbers)]
    return list(Member.objects.filter(corp=corp, departments__overlap=wanted))


def place_staff(corp: Corp, members: Sequence[Member]) -> None:
    """Let members who are staff work where their departments say. One whose departments are no store's keeps hers."""
    known = tree(corp)
    staff = dict(Staff.objects.filter(userid__in=[one.userid for one in members]).values_list("userid", "pk"))
    rows = [
        StaffRow(userid=one.userid, store=known.store_of_member(membership(one)))
        for one in members
        if one.userid in staff
    ]
    for start in range(0, len(rows), CHUNK):
        upsert_staff(rows[start : start + CHUNK])


def suggestions(names: Iterable[str]) -> dict[str, Suggestion]:
    """For names of departments: the one store whose name holds the department's, or is held by it."""
    wanted = {name: _bare(name) for name in names}
    if not wanted:
        return {}
    stores = [(_bare(name), Suggestion(code, name)) for code, name in Store.objects.values_list("code", "name")]
    found: dict[str, Suggestion] = {}
    for name, bare in wanted.items():
        near = [one for plain, one in stores if len(bare) > 1 and len(plain) > 1 and (plain in bare or bare in plain)]
        if len(near) == 1:
            found[name] = near[0]
    return found


def _bare(name: str) -> str:
    """A name without what people add to it: blanks, brackets, 店 and 门店 at its end, capital letters."""
    plain = "".join(letter for letter in name.casefold() if letter.isalnum())
    return plain.removesuffix("门店").removesuffix("店")
