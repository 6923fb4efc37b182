"""Departments and members of the corp as staff of ours. A department named like a store places its members there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from hetang.connectors.wecom import directory
from hetang.connectors.wecom.accounts import places
from hetang.connectors.wecom.accounts import services as accounts
from hetang.connectors.wecom.accounts.rules import Membership
from hetang.connectors.wecom.accounts.sign_on import GONE
from hetang.connectors.wecom.client import Client
from hetang.connectors.wecom.errors import OF_ONE_MEMBER, WeComError
from hetang.connectors.wecom.feed import Feed, Patience
from hetang.connectors.wecom.models import Corp
from hetang.connectors.wecom.models import Member as Known
from hetang.connectors.wecom.protocol.directory import (
    DEPARTMENTS,
    LEFT,
    MEMBER,
    MEMBERS,
    Department,
    Member,
    MemberQuery,
    MembersQuery,
)
from hetang.platform import clock
from hetang.platform.jobs import Work
from hetang.resources.models import Staff
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

ROWS_AT_ONCE = 5000


def bring_in(client: Client, corp: Corp, work: Work) -> int:
    """Members of all departments, asked for side by side. Returns how many. A row of memory for each member.

    Who is listed no more is asked for by herself: only the answer that there is no such member says that she left,
    since the app's visible range may have become smaller.
    """
    begun_at = clock.now()
    departments = client.call(DEPARTMENTS).department
    directory.keep(corp, departments)
    found: dict[str, Member] = {}
    with Feed({"staff": departments}, _ask(client), at_once=corp.concurrency, checkpoint=work.checkpoint) as feed:
        done = 0
        for page in feed:
            if page is None:
                work.checkpoint()
                continue
            found |= {member.userid: member for member in page[1]}
            done += 1
            work.progress(done, len(departments), "staff")
    places.keep(corp, found.values())
    tree = places.tree(corp)
    staff = [
        StaffRow(
            userid=member.userid,
            name=member.name,
            store=tree.store_of_member(Membership(member.department, (), member.main_department)),
            active=member.status != LEFT,
            simulated=corp.simulated,
        )
        for member in found.values()
    ]
    for start in range(0, len(staff), ROWS_AT_ONCE):
        upsert_staff(staff[start : start + ROWS_AT_ONCE])
    note_missing(client, corp, set(found), begun_at, work)
    accounts.settle(corp)
    return len(found)


def note_missing(client: Client, corp: Corp, listed: set[str], begun_at: datetime, work: Work) -> int:
    """Ask for members who were known and are not listed any more; those whom WeCom does not know have left. Returns how
    many. A call for each: between two nights few leave."""
    known = Known.objects.filter(corp=corp, told_at__lt=begun_at).exclude(status=LEFT)
    missing = set(known.values_list("userid", flat=True))
    signing_on = Staff.objects.filter(active=True, user__signed_on_at__isnull=False)
    missing |= set(signing_on.values_list("userid", flat=True))
    gone: list[str] = []
    for userid in sorted(missing - listed):
        work.checkpoint()
        try:
            places.keep(corp, [client.call(MEMBER, MemberQuery(userid=userid))])
        except WeComError as problem:
            if problem.code in GONE:
                gone.append(userid)
            elif problem.code not in OF_ONE_MEMBER:
                raise
    return directory.leave(corp, gone)


def _ask(client: Client) -> Callable[[Department, Patience], Iterator[tuple[Department, list[Member]]]]:
    def ask(department: Department, patience: Patience) -> Iterator[tuple[Department, list[Member]]]:
        asked = MembersQuery(department_id=department.id)
        yield department, patience(lambda: client.call(MEMBERS, asked)).userlist

    return ask
