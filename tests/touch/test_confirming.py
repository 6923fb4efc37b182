"""Who still has to confirm, of a part of the organisation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff
from hetang.touch.confirming import Confirmation, confirmations, waiting_tasks
from hetang.touch.models import Programme, Reminder, SendTask, ShortLink
from tests.touch.world import NOW, organisation

pytestmark = pytest.mark.django_db


def task(programme: Programme, staff: Staff, people: int, state: str, seq: int = 1) -> SendTask:
    code = f"{programme.pk}-{staff.pk}-{seq}"
    link = ShortLink.objects.create(code=code, target="https://example.cn/", created_at=NOW)
    done = state == SendTask.DONE
    return SendTask.objects.create(
        programme=programme, channel="wecom", variant=1, staff=staff, org_node_id=staff.org_node_id, seq=seq,
        people=people, link=link, state=state, slot_at=NOW, tasked_at=NOW - timedelta(hours=seq),
        confirmed_at=NOW if done else None, sent=people if done else 0,
    )  # fmt: skip


def test_by_programme_and_staff_with_the_reminders_that_are_left() -> None:
    first, second, other, _idle = organisation()
    programme = Programme.objects.create(
        name="P", channel="wecom", state=Programme.RUNNING, slot_at=NOW, expires_at=NOW + timedelta(days=3)
    )
    worn = task(programme, first, 10, SendTask.WAITING)
    task(programme, first, 20, SendTask.WAITING, seq=2)
    task(programme, second, 40, SendTask.DONE)
    task(programme, other, 80, SendTask.WAITING)
    for hours, outcome in ((1, "done"), (2, "pending"), (3, "limit"), (4, "failed"), (30, "done")):
        Reminder.objects.create(task=worn, at=NOW - timedelta(hours=hours), outcome=outcome)
    whole = Scope((), everything=True)
    assert confirmations([programme.pk], whole, NOW) == [
        Confirmation(programme.pk, other.name, 1, 0, 1, 80, 80, 0, 1, NOW - timedelta(hours=1)),
        Confirmation(programme.pk, first.name, 2, 0, 2, 30, 30, 0, 1, NOW - timedelta(hours=2)),
        Confirmation(programme.pk, second.name, 1, 1, 0, 40, 0, 40, 0, None),
    ]
    its_store = Scope((OrgNode.objects.get(pk=other.org_node_id).path,))
    assert [one.people for one in confirmations([programme.pk], its_store, NOW)] == [80]
    assert confirmations([programme.pk], Scope(()), NOW) == []
    assert confirmations([], whole, NOW) == []
    assert sorted(waiting_tasks().values_list("people", flat=True)) == [10, 20, 80]
