"""What a job gives up of the machine, asked of the kernel."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from django.db import connection

from hetang.platform import priority

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process.pid
        process.send_signal(signal.SIGKILL)


def test_a_process_and_its_session_step_back(sleeper):
    priority.lower(sleeper, 7)
    priority.lower(sleeper, 3)  # what has less keeps it
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == 7
    if AUTOGROUP.exists():
        assert Path(f"/proc/{sleeper}/autogroup").read_text().split()[-1] == "7"


def test_a_process_that_is_another_or_gone_is_left_alone(sleeper):
    priority.lower(sleeper, 7, called="postgres")
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == 0
    priority.lower(2**22 + 1, 7)


@pytest.mark.django_db
def test_a_connection_s_own_process_steps_back():
    mine, other = connection.copy(), connection.copy()
    try:
        for one in (mine, other):
            one.ensure_connection()
        priority.lower_backend(connection=mine)
        pids = [one.connection.info.backend_pid for one in (mine, other)]
        assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids] == [10, 0]
    finally:
        mine.close()
        other.close()
