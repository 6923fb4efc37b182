"""Departments and members of the corp as staff of ours. A department named like a store places its members there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hetang.connectors.wecom import directory
from hetang.connectors.wecom.client import Client
from hetang.connectors.wecom.feed import Feed, Patience
from hetang.connectors.wecom.models import Corp
from hetang.connectors.wecom.protocol.directory import (
    DEPARTMENTS,
    LEFT,
    MEMBERS,
    Department,
    Member,
    MembersQuery,
)
from hetang.platform.jobs import Work
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

ROWS_AT_ONCE = 5000


def bring_in(client: Client, corp: Corp, work: Work) -> int:
    """Members of all departments, asked for side by side. Returns how many. A row of memory for each member."""
    departments = client.call(DEPARTMENTS).department
    directory.keep(corp, departments)
    stores = directory.stores_by_name()
    rows: dict[str, StaffRow] = {}
    with Feed({"staff": departments}, _ask(client), at_once=corp.concurrency, checkpoint=work.checkpoint) as feed:
        done = 0
        for found in feed:
            if found is None:
                work.checkpoint()
                continue
            department, members = found
            store = stores.get(department.name, "")
            for member in members:
                known = rows.get(member.userid)
                rows[member.userid] = StaffRow(
                    userid=member.userid,
                    name=member.name,
                    store=store or (known.store if known else "") or "",
                    active=member.status != LEFT,
                    simulated=corp.simulated,
                )
            done += 1
            work.progress(done, len(departments), "staff")
    staff = list(rows.values())
    for start in range(0, len(staff), ROWS_AT_ONCE):
        upsert_staff(staff[start : start + ROWS_AT_ONCE])
    return len(rows)


def _ask(client: Client) -> Callable[[Department, Patience], Iterator[tuple[Department, list[Member]]]]:
    def ask(department: Department, patience: Patience) -> Iterator[tuple[Department, list[Member]]]:
        asked = MembersQuery(department_id=department.id)
        yield department, patience(lambda: client.call(MEMBERS, asked)).userlist

    return ask
