"""Who still has to confirm: the send tasks of a part of the organisation, by broadcast and member of staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from hetang.platform.access import Scope
from hetang.resources.models import Staff
from hetang.touch.models import SendTask
from hetang.touch.services import REMINDERS_A_DAY


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The tasks of one member of staff in one programme. `remindable`: waiting tasks that the platform lets us remind
    of now; `since`: when the oldest waiting one was handed over."""

    programme: int
    staff: str
    tasks: int
    confirmed: int
    waiting: int
    people: int
    people_waiting: int
    sent: int
    remindable: int
    since: datetime | None

    @property
    def done(self) -> bool:
        """Nothing is left to confirm."""
        return not self.waiting


def waiting_tasks() -> QuerySet[SendTask]:
    """Tasks that are with a member of staff and not confirmed."""
    return SendTask.objects.filter(state=SendTask.WAITING, confirmed_at=None)


def confirmations(programmes: Sequence[int], scope: Scope, now: datetime) -> list[Confirmation]:
    """Of these programmes what lies in the scope: who has most people waiting first, then by name. One query; it reads
    the tasks of the programmes, a few thousand of a brand with as many advisers."""
    if not programmes or scope.nothing:
        return []
    nodes, params = scope.org_node_ids_sql()
    with connection.cursor() as cursor:
        cursor.execute(
            _CONFIRMATIONS.format(nodes=nodes, staff=Staff._meta.db_table),
            [now - timedelta(hours=24), REMINDERS_A_DAY, list(programmes), *params],
        )
        return [Confirmation(*row) for row in cursor.fetchall()]


# The reminders that count are those of `services.remind`: all of the last 24 hours but the failed ones.
_CONFIRMATIONS = """
with task as (
  select t.*, t.state = 'waiting' and t.confirmed_at is null as waits, (
    select count(*) from touch_reminder r where r.task_id = t.id and r.at > %s and r.outcome <> 'failed'
  ) < %s as may
  from touch_sendtask t where t.programme_id = any(%s) and t.org_node_id in ({nodes})
)
select t.programme_id, coalesce(s.name, ''), count(*), count(t.confirmed_at), count(*) filter (where t.waits),
       sum(t.people)::bigint, coalesce(sum(t.people) filter (where t.waits), 0)::bigint, sum(t.sent)::bigint,
       count(*) filter (where t.waits and t.may), min(t.tasked_at) filter (where t.waits)
from task t left join {staff} s on s.id = t.staff_id
group by t.programme_id, t.staff_id, s.name
order by t.programme_id desc, 7 desc, 2
"""
