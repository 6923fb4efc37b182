"""After a restore nothing leaves twice: what may have gone out is looked up, and somebody has to resume it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from hetang.platform.models import AuditEntry
from hetang.resources.models import Staff
from hetang.touch import dispatch, restoring, services
from hetang.touch.models import Programme, SendTask
from tests.touch.test_lifecycle import (  # noqa: F401 - fixtures
    HEAD,
    Provider,
    launched,
    provider,
    send_all,
    staff,
    states,
)

pytestmark = pytest.mark.django_db
TAKEN_AT = datetime.now(UTC) - timedelta(hours=2)


def _forget_that_it_left(programme: Programme) -> None:
    """The ledger as a backup holds it that was taken before the tasks left."""
    SendTask.objects.filter(programme=programme).update(
        state=SendTask.CREATED, attempt=None, provider_id="", tasked_at=None, claimed_at=None, next_look_at=None
    )
    with connection.cursor() as cursor:
        cursor.execute("update touch_touch set state = 'planned' where programme = %s", [programme.pk])
        cursor.execute("delete from touch_tally where programme = %s and state = 'planned'", [programme.pk])
        cursor.execute("update touch_tally set state = 'planned' where programme = %s", [programme.pk])


def test_tasks_that_went_out_after_the_backup_are_found_and_not_sent_again(
    staff: list[Staff],  # noqa: F811
    provider: Provider,  # noqa: F811
) -> None:
    programme = launched(staff)
    send_all()
    sent = dict(provider.tasks)
    assert len(sent) == 4
    _forget_that_it_left(programme)
    restoring.hold_sending(TAKEN_AT)
    programme.refresh_from_db()
    assert programme.state == Programme.PAUSED
    assert states(programme) == {("unknown", ""): 40}
    while dispatch.reconcile():
        pass
    services.resume(HEAD, programme)
    send_all()
    assert provider.tasks == sent
    assert states(programme) == {("tasked", ""): 40}


def test_tasks_that_the_provider_never_saw_are_sent_after_somebody_resumes(
    staff: list[Staff],  # noqa: F811
    provider: Provider,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programme = launched(staff)
    restoring.hold_sending(TAKEN_AT)
    monkeypatch.setattr(dispatch, "GRACE_S", 0.0)
    while dispatch.reconcile():
        pass
    send_all()
    assert provider.tasks == {}
    programme.refresh_from_db()
    services.resume(HEAD, programme)
    send_all()
    assert len(provider.tasks) == 4
    paused = AuditEntry.objects.get(action="programme.paused")
    assert paused.changes["why"] == "restored"
