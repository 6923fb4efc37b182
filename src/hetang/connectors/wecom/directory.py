"""Departments and members as events tell of them (`change_contact`): an event holds only what changed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from hetang.connectors.wecom.accounts import places
from hetang.connectors.wecom.accounts import services as accounts
from hetang.connectors.wecom.accounts.rules import Tree
from hetang.connectors.wecom.models import Corp, Department, Member, Pair
from hetang.connectors.wecom.protocol.directory import LEFT
from hetang.connectors.wecom.protocol.directory import Department as Listed
from hetang.platform import clock
from hetang.resources.models import Staff
from hetang.resources.rules import StaffRow
from hetang.resources.services import upsert_staff


def apply(corp: Corp, told: Sequence[dict[str, str]]) -> None:
    """Members and departments in the order of the events' times, and the accounts of these members; in the caller's
    transaction."""
    members: set[str] = set()
    tree: Tree | None = None  # read once for all members, and anew after a department changed
    for fields in sorted(told, key=lambda one: int(one.get("CreateTime") or 0)):
        change = fields.get("ChangeType", "")
        if change in {"create_user", "update_user"}:
            tree = tree or places.tree(corp)
            members.add(_member(corp, fields, tree))
        elif change == "delete_user":
            _leaves(corp, fields.get("UserID", ""))
            members.add(fields.get("UserID", ""))
        elif change in {"create_party", "update_party"} and fields.get("Id", "").isdigit():
            _department(corp, fields)
            tree = None
        elif change == "delete_party" and fields.get("Id", "").isdigit():
            gone = Department.objects.filter(corp=corp, number=int(fields["Id"]), gone_at=None)
            gone.update(gone_at=clock.now())
    if members - {""}:
        accounts.settle(corp, members - {""})


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
    if not Member.objects.filter(corp=corp, userid=new).exists():
        Member.objects.filter(corp=corp, userid=old).update(userid=new)
    with connection.cursor() as cursor:
        cursor.execute(
            "update wecom_pair p set userid = %(new)s where corp_id = %(corp)s and userid = %(old)s and not exists"
            " (select from wecom_pair q where q.corp_id = p.corp_id and q.userid = %(new)s"
            " and q.external_userid = p.external_userid)",
            {"new": new, "old": old, "corp": corp.pk},
        )
    Pair.objects.filter(corp=corp, userid=old).delete()


def _member(corp: Corp, fields: dict[str, str], tree: Tree) -> str:
    """One member as far as the event tells of her. Returns her userid; empty where it names none."""
    userid = fields.get("UserID", "")
    new = fields.get("NewUserID", "")
    if not userid:
        return ""
    if new and new != userid:
        rename(corp, userid, new)
        userid = new
    known = Staff.objects.filter(userid=userid).first()
    status = fields.get("Status", "")
    member = _stands(corp, userid, fields)
    store = tree.store_of_member(places.membership(member)) if "Department" in fields else ""
    row = StaffRow(
        userid=userid,
        name=fields.get("Name") or (known.name if known else userid),
        store=store,
        active=int(status) != LEFT if status.isdigit() else (known.active if known else True),
        simulated=corp.simulated,
    )
    upsert_staff([row])
    return userid


def _stands(corp: Corp, userid: str, fields: dict[str, str]) -> Member:
    """Where she stands after the event: departments, which of them she leads, status. What it does not tell stays."""
    Member.objects.get_or_create(corp=corp, userid=userid, defaults={"told_at": clock.now()})
    member = Member.objects.select_for_update().get(corp=corp, userid=userid)
    if "Department" in fields:
        member.departments = _numbers(fields["Department"])
        member.leads = [one for one in member.leads if one in member.departments]
    if "IsLeaderInDept" in fields:
        leads = _numbers(fields["IsLeaderInDept"])
        member.leads = [at for at, led in zip(member.departments, leads, strict=False) if led]
    if fields.get("MainDepartment", "").isdigit():
        member.main = int(fields["MainDepartment"])
    if fields.get("Status", "").isdigit():
        member.status = int(fields["Status"])
    elif fields.get("ChangeType") == "create_user":
        member.status = Member.ACTIVE
    member.told_at = clock.now()
    member.save()
    return member


def _leaves(corp: Corp, userid: str) -> None:
    if userid:
        Member.objects.get_or_create(corp=corp, userid=userid, defaults={"told_at": clock.now()})
        leave(corp, [userid])


@transaction.atomic
def leave(corp: Corp, userids: Sequence[str]) -> int:
    """Members who left: no staff of ours any more. Returns how many were."""
    Member.objects.filter(corp=corp, userid__in=userids).update(
        status=LEFT, told_at=clock.now(), departments=[], leads=[]
    )
    return Staff.objects.filter(userid__in=userids, active=True).update(active=False)


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one.strip().isdigit()]


def _department(corp: Corp, fields: dict[str, str]) -> None:
    changes: dict[str, object] = {"gone_at": None}
    if fields.get("Name"):
        changes["name"] = fields["Name"][:120]
    if fields.get("ParentId", "").isdigit():
        changes["parent"] = int(fields["ParentId"])
    Department.objects.update_or_create(corp=corp, number=int(fields["Id"]), defaults=changes)
