"""Messages to a person: the send ledger, and the plans that she was part of.

A ledger must go on adding up, and a report must keep its groups. So her number gives way to one that belongs to nobody
and that nothing connects with her; her address goes; what was not sent yet is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap

from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person
from hetang.touch import ledger
from hetang.touch.models import CANCELLED, PLANNED, Plan, PlanGroup, PlanHoldout

CHUNK = 5_000
_BYTES = 8  # of a number in the columns of `PlanHoldout`, big-endian

_LEFT = """
select (select count(*) from touch_touch where customer = any(%(numbers)s))
     + (select count(*) from touch_key where customer = any(%(numbers)s))
"""
# One stand-in for each of her numbers: two of them may be in one programme.
_STAND_IN = """
from unnest(%(numbers)s::bigint[]) with ordinality as n(number, place)
where x.customer = n.number and"""
_TOUCHES = f"""
update touch_touch x set customer = %(stand_in)s + n.place - 1, address = '' {_STAND_IN}
  (x.id, x.planned_at) in (select * from unnest(%(a)s::bigint[], %(b)s::timestamptz[]))
"""
_KEYS = f"""
update touch_key x set customer = %(stand_in)s + n.place - 1 {_STAND_IN}
  (x.programme, x.step, x.customer, x.occurrence) in
    (select * from unnest(%(a)s::bigint[], %(b)s::smallint[], %(c)s::bigint[], %(d)s::int[]))
"""


def _count(person: Person) -> int:
    return int(_run(_LEFT, {"numbers": list(person.numbers)})[0][0])


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """No index leads to all touches of a person: the ledger is read once, without a write, and changed by its keys."""
    params: dict[str, Any] = {"numbers": list(person.numbers), "stand_in": person.stand_in}
    with transaction.atomic():
        ledger.move(PLANNED, CANCELLED, "t.reserved and t.customer = any(%(numbers)s)", params, reason="withdrawn")
    found = (
        (_TOUCHES, "select id, planned_at from touch_touch where customer = any(%(numbers)s)"),
        (_KEYS, "select programme, step, customer, occurrence from touch_key where customer = any(%(numbers)s)"),
    )
    changed = 0
    for statement, select in found:
        rows = _run(select, params)
        for start in range(0, len(rows), CHUNK):
            columns = zip(*rows[start : start + CHUNK], strict=True)
            values = dict(zip("abcd", map(list, columns), strict=False))
            with connection.cursor() as cursor:
                cursor.execute(statement, params | values)
                changed += cursor.rowcount
            checkpoint()
    return changed


def _tell(person: Person) -> list[dict[str, Any]]:
    names = ("planned_at", "channel", "message_class", "state", "sent_at", "broadcast")
    rows = _run(
        "select t.planned_at, t.channel, t.message_class, t.state, t.sent_at, p.name from touch_touch t"
        " join touch_programme p on p.id = t.programme where t.customer = any(%(numbers)s) order by 1, t.id",
        {"numbers": list(person.numbers)},
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _run(select: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(select, params)
        return list(cursor.fetchall())


# plans ----------------------------------------------------------------------------------------------------------------


def _plans(person: Person) -> Iterator[tuple[int, str]]:
    """(id, state) of plans that hold her."""
    hers = BitMap(person.numbers)
    for pk, state, members in Plan.objects.order_by("pk").values_list("pk", "state", "members").iterator(50):
        if BitMap.deserialize(bytes(members)) & hers:
            yield pk, state


def _plan_count(person: Person) -> int:
    return sum(1 for _plan in _plans(person))


def _plan_erase(person: Person, checkpoint: Checkpoint) -> int:
    """Raises NotNow while a plan that holds her is being made: it ends within seconds."""
    changed = 0
    for pk, state in list(_plans(person)):
        if state == Plan.RUNNING:
            raise NotNow("plans")
        with transaction.atomic():
            _replace_in_plan(pk, dict(zip(person.numbers, range(person.stand_in, 2**32), strict=False)))
        changed += 1
        checkpoint()
    return changed


def _replace_in_plan(pk: int, stand_ins: dict[int, int]) -> None:
    rows: list[Plan | PlanGroup] = [Plan.objects.select_for_update().get(pk=pk), *PlanGroup.objects.filter(plan=pk)]
    for row in rows:
        members = BitMap.deserialize(bytes(row.members))
        present = [number for number in stand_ins if number in members]
        if present:
            members -= BitMap(present)
            members |= BitMap([stand_ins[number] for number in present])
            row.members = members.serialize()
            row.save(update_fields=["members"])
    for held in PlanHoldout.objects.filter(plan=pk).order_by("pk").iterator(chunk_size=20):
        customers = bytes(held.customers)
        packed = b"".join(
            stand_ins.get(int.from_bytes(one, "big"), int.from_bytes(one, "big")).to_bytes(_BYTES, "big")
            for one in (customers[at : at + _BYTES] for at in range(0, len(customers), _BYTES))
        )
        if packed != customers:
            held.customers = packed
            held.save(update_fields=["customers"])


HOLDINGS = [
    Holding(
        "touches",
        _("Messages that were planned for her or sent to her"),
        _count,
        _erase,
        _tell,
        _("That somebody got the message stays, without her number and address: a ledger must add up."),
    ),
    Holding("plans", _("Plans and control groups"), _plan_count, _plan_erase),
]
