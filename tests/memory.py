"""Folders of tests in memory: servers and homes are made by the dozen, and half of the system's time went into a disk.

`kill -9` of a process loses no more in memory than on a disk. TMPDIR, where somebody sets it, decides instead: what
tests left is still there afterwards.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import psutil

_PLACE = Path("/dev/shm")
_PREFIX = "hetang-tests-"
_LEAST_BYTES = 8 << 30  # two processes' servers at their largest, and what some tests leave
_LEFT_BYTES = 4 << 30  # for the processes themselves


def use() -> None:
    """Let this process and its children make temporary folders in memory, if there is plenty of it."""
    if "TMPDIR" in os.environ or not _is_plenty():
        return
    _forget_the_dead()
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_PLACE)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # whoever asked before is told anew


def _is_plenty() -> bool:
    if not (_PLACE.is_dir() and os.access(_PLACE, os.W_OK)):
        return False
    available = psutil.virtual_memory().available
    return shutil.disk_usage(_PLACE).free >= _LEAST_BYTES and available >= _LEAST_BYTES + _LEFT_BYTES


def _forget_the_dead() -> None:
    """Clear away what runs left that were killed."""
    for path in _PLACE.glob(f"{_PREFIX}*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
