"""Starting children that never outlive us, on Linux: parent-death signal, and a user namespace where we are root.

PostgreSQL refuses to run as root. In a user namespace with one mapped uid it sees an ordinary user, while the files
stay ours: no account is added and no folder is opened to others.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3, _CAP_DAC_OVERRIDE = 0x20080522, 1
_CLONE_NEWUSER = 0x10000000
_INSIDE_ID = 1000


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules in a process of its own.

    With -P, since Python would otherwise look for every package in the current folder first: a stray `csp.py` where
    somebody typed `hetang up` would be run instead of the package.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    death_signal: int = signal.SIGTERM,
    log: IO[bytes] | int | None = None,
    errors: IO[bytes] | int = subprocess.STDOUT,
    stdin: int = subprocess.DEVNULL,
    as_ordinary_user: bool = False,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in its own process group that gets `death_signal` when this thread's process dies.

    What it prints goes to `log`, complaints too unless `errors` names another place; without a log, where ours goes.
    `as_ordinary_user` matters only for root: the child then runs in a user namespace (or as `nobody`).
    """
    parent = os.getpid()

    def prepare() -> None:
        if as_ordinary_user and os.geteuid() == 0:
            leave_root()
        die_with_parent(death_signal, parent)

    return subprocess.Popen(
        [str(part) for part in command],
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=stdin,
        stdout=log,
        stderr=errors if log is not None else None,
        preexec_fn=prepare,  # noqa: PLW1509 - the callers start children before they start threads
        start_new_session=True,
    )


def die_with_parent(death_signal: int = signal.SIGTERM, parent: int | None = None) -> None:
    """Ask the kernel for `death_signal` when the parent dies; leave at once if it is already gone."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def started(pid: int) -> str:
    """Start time in clock ticks since boot: tells a process from a later one with the same pid. Empty if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def user_namespaces_work() -> bool:
    """Whether root may enter a user namespace here (tried in a child, so this process is untouched)."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    probe = os.fork()
    if probe == 0:
        try:
            _enter_user_namespace()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]) == 0


def ordinary_owner() -> int | None:
    """The uid that must own the files of a child after `leave_root`; None where nothing changes (we are not root)."""
    if os.geteuid() != 0:
        return None
    return os.geteuid() if user_namespaces_work() else pwd.getpwnam("nobody").pw_uid


def leave_root() -> None:
    """Become an ordinary user for good: in a user namespace if the kernel lets us, else as the system's `nobody`.

    Containers usually refuse user namespaces. There `nobody` keeps one capability, to reach its files below folders
    that are closed to others, so that no folder has to be opened.
    """
    try:
        _enter_user_namespace()
    except OSError:
        _become_nobody()


def _become_nobody() -> None:
    nobody = pwd.getpwnam("nobody")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    wanted = 1 << _CAP_DAC_OVERRIDE
    data = (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0)  # effective, permitted, inheritable; high words
    if libc.capset(header, data) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are refused here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {gid} 1")
