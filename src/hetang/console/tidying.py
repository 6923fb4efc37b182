"""What is over is removed: sessions, remembered devices, failed log-ins, approvals that nobody used."""

from __future__ import annotations

from datetime import timedelta

from hetang.console.models import LoginFailure
from hetang.platform import approvals, clock
from hetang.platform.loops import Loop
from hetang.platform.models import TrustedDevice
from hetang.platform.sessions import SessionStore

_EVERY_S = 600.0


def run_once() -> float:
    """A few deletes of what nobody asks for any more."""
    SessionStore.clear_expired()
    TrustedDevice.objects.filter(expires_at__lte=clock.wall()).delete()
    LoginFailure.objects.filter(last_at__lte=clock.wall() - timedelta(days=1)).delete()
    approvals.end_late()
    return _EVERY_S


loop = Loop("tidying", run_once)
