"""Departments and members as events tell of them (`change_contact`): an event holds only what changed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from hetang.connectors.wecom.models import Corp, Department, Pair
from hetang.connectors.wecom.protocol.directory import LEFT
from hetang.connectors.wecom.protocol.directory import Department as Listed
from hetang.platform import clock
from hetang.resources.models import Staff, Store
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff


def apply(corp: Corp, told: Sequence[dict[str, str]]) -> None:
    """Members and departments in the order of the events' times; in the caller's transaction."""
    for fields in sorted(told, key=lambda one: int(one.get("CreateTime") or 0)):
        change = fields.get("ChangeType", "")
        if change in {"create_user", "update_user"}:
            _member(corp, fields)
        elif change == "delete_user":
            Staff.objects.filter(userid=fields.get("UserID", "")).update(active=False)
        elif change in {"create_party", "update_party"} and fields.get("Id", "").isdigit():
            _department(corp, fields)
        elif change == "delete_party" and fields.get("Id", "").isdigit():
            gone = Department.objects.filter(corp=corp, number=int(fields["Id"]), gone_at=None)
            gone.update(gone_at=clock.now())


@transaction.atomic
def keep(corp: Corp, listed: Sequence[Listed]) -> None:
    """All departments as WeCom lists them; those it does not list are gone."""
    rows = [
        Department(corp=corp, number=one.id, name=one.name[:120], parent=one.parentid, gone_at=None) for one in listed
    ]
    Department.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["corp", "number"],
        update_fields=["name", "parent", "gone_at"],
        batch_size=2000,
    )
    living = Department.objects.filter(corp=corp, gone_at=None)
    living.exclude(number__in=[one.id for one in listed]).update(gone_at=clock.now())


def rename(corp: Corp, old: str, new: str) -> None:
    """A member got another userid: what names her follows. One who has the new one already keeps it."""
    if Staff.objects.filter(userid=new).exists():
        return
    Staff.objects.filter(userid=old).update(userid=new)
    with connection.cursor() as cursor:
        cursor.execute(
            "update wecom_pair p set userid = %(new)s where corp_id = %(corp)s and userid = %(old)s and not exists"
            " (select from wecom_pair q where q.corp_id = p.corp_id and q.userid = %(new)s"
            " and q.external_userid = p.external_userid)",
            {"new": new, "old": old, "corp": corp.pk},
        )
    Pair.objects.filter(corp=corp, userid=old).delete()


def _member(corp: Corp, fields: dict[str, str]) -> None:
    userid = fields.get("UserID", "")
    new = fields.get("NewUserID", "")
    if not userid:
        return
    if new and new != userid:
        rename(corp, userid, new)
        userid = new
    known = Staff.objects.filter(userid=userid).first()
    status = fields.get("Status", "")
    store = _store(corp, fields.get("Department", "")) if "Department" in fields else ""
    row = StaffRow(
        userid=userid,
        name=fields.get("Name") or (known.name if known else userid),
        store=store,
        active=int(status) != LEFT if status.isdigit() else (known.active if known else True),
        simulated=corp.simulated,
    )
    upsert_staff([row])


def _store(corp: Corp, numbers: str) -> str:
    """The store that one of these departments is named like; the last of them, as in the sync."""
    wanted = [int(one) for one in numbers.split(",") if one.strip().isdigit()]
    stores = stores_by_name()
    found = ""
    for name in (
        Department.objects.filter(corp=corp, number__in=wanted).order_by("number").values_list("name", flat=True)
    ):
        found = stores.get(name, "") or found
    return found


def _department(corp: Corp, fields: dict[str, str]) -> None:
    changes: dict[str, object] = {"gone_at": None}
    if fields.get("Name"):
        changes["name"] = fields["Name"][:120]
    if fields.get("ParentId", "").isdigit():
        changes["parent"] = int(fields["ParentId"])
    Department.objects.update_or_create(corp=corp, number=int(fields["Id"]), defaults=changes)


def stores_by_name() -> dict[str, str]:
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
