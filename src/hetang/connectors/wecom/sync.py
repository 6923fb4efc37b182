"""The first sync, and any later one: departments and staff, then every friendship, as the job `wecom.sync`.

Idempotent: a run that starts again records nothing twice, since a friendship's fact has the same key each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetang.connectors.wecom import protocol
from hetang.connectors.wecom.client import Client, client_of, default_app
from hetang.connectors.wecom.errors import NO_RELATION, WeComError
from hetang.connectors.wecom.models import Corp
from hetang.connectors.wecom.relations import ensure_staff, listed_draft
from hetang.connectors.wecom.webhook import SOURCE
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform.jobs import Work, job
from hetang.resources.models import Store
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff

MEMBERS_PER_CALL = 100
CUSTOMERS_PER_CALL = 100
FACTS_PER_CHUNK = 1000  # committed together, well under a second
_LEFT = 5


@job("wecom.sync")
def sync(work: Work) -> dict[str, Any]:
    """Bring in departments, staff and friendships of the default corp. Returns the counts.

    Stages `staff` and `customers`. About 6,000 friendships a second are recorded; WeCom's limits come first.
    """
    app = default_app()
    client = client_of(app)
    staff = _sync_staff(client, app.corp, work)
    members = client.call(protocol.FOLLOW_USERS).follow_user
    ensure_staff(members, simulated=app.corp.simulated)
    counts = {"staff": staff, "members": len(members), "relations": 0, "new": 0, "refused": 0}
    for done, page in _pages(client, members):
        drafts = [listed_draft(app.corp.corpid, one, simulated=app.corp.simulated) for one in page]
        for chunk in _chunks(drafts):
            outcome = intake.record(SOURCE, chunk, "callback")
            counts["relations"] += len(chunk)
            counts["new"] += outcome.accepted
            counts["refused"] += len(outcome.rejected)
        work.progress(done, len(members), "customers")
    return counts


def _sync_staff(client: Client, corp: Corp, work: Work) -> int:
    """Members of all departments; a department named like a store (name or code) places its members there."""
    departments = client.call(protocol.DEPARTMENTS).department
    stores = _stores_by_name()
    rows: dict[str, StaffRow] = {}
    for number, department in enumerate(departments, 1):
        store = stores.get(department.name, "")
        for member in client.call(protocol.MEMBERS, {"department_id": department.id, "fetch_child": 0}).userlist:
            known = rows.get(member.userid)
            rows[member.userid] = StaffRow(
                userid=member.userid,
                name=member.name,
                store=store or (known.store if known else "") or "",
                active=member.status != _LEFT,
                simulated=corp.simulated,
            )
        work.progress(number, len(departments), "staff")
    if rows:
        upsert_staff(rows.values())
    return len(rows)


def _stores_by_name() -> dict[str, str]:
    """Code of a store by its code and by its name; a name that two stores share places nobody."""
    found: dict[str, str] = {}
    doubled: set[str] = set()
    for code, name in Store.objects.values_list("code", "name"):
        if name in found:
            doubled.add(name)
        found[name] = code
    for name in doubled:
        del found[name]
    return found | {code: code for code in Store.objects.values_list("code", flat=True)}


def _pages(client: Client, members: list[str]) -> Iterator[tuple[int, list[protocol.ContactOfMember]]]:
    """(members begun, friendships) page by page; an empty page with a cursor is not the end."""
    for start in range(0, len(members), MEMBERS_PER_CALL):
        part = members[start : start + MEMBERS_PER_CALL]
        cursor = ""
        gathered: list[protocol.ContactOfMember] = []
        while True:
            body = {"userid_list": part, "limit": CUSTOMERS_PER_CALL, "cursor": cursor}
            page = _customers(client, body)
            gathered += page.external_contact_list
            cursor = page.next_cursor
            if len(gathered) >= FACTS_PER_CHUNK or not cursor:
                yield start + (0 if cursor else len(part)), gathered
                gathered = []
            if not cursor:
                break


def _customers(client: Client, body: dict[str, Any]) -> protocol.ContactsOfMembers:
    """One page; members who have no customers at all are no error."""
    try:
        return client.call(protocol.CUSTOMERS, body)
    except WeComError as problem:
        if problem.code != NO_RELATION:
            raise
        return protocol.ContactsOfMembers()


def _chunks(drafts: list[Draft]) -> Iterator[list[Draft]]:
    for start in range(0, len(drafts), FACTS_PER_CHUNK):
        yield drafts[start : start + FACTS_PER_CHUNK]
