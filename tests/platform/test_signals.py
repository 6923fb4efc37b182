"""A flag that signal handlers set."""

from __future__ import annotations

import subprocess
import sys
import threading

from hetang.platform.signals import Flag

# The same loop with `threading.Event` hangs within a second.
_HAIL = """
import signal
from time import monotonic
from hetang.platform.signals import Flag
flag = Flag()
signal.signal(signal.SIGALRM, lambda *_: flag.set())
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
ends = monotonic() + 1.5
while monotonic() < ends:
    flag.clear()
    flag.wait(1e-6)
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""


def test_a_signal_may_come_at_any_line() -> None:
    ended = subprocess.run([sys.executable, "-c", _HAIL], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "done\n"


def test_it_wakes_all_who_wait() -> None:
    flag, woken = Flag(), []
    waiting = [threading.Thread(target=lambda: woken.append(flag.wait(30))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    flag.set()
    for thread in waiting:
        thread.join(10)
    assert woken == [True] * 4


def test_waiting_ends_by_itself() -> None:
    flag = Flag()
    assert not flag.wait(0.01)
    flag.set()
    flag.clear()
    assert not flag.is_set()
    flag.wait(0.01)
    assert not flag.wait(0.01)
