"""`hetang wecom conformance`: which corp is compared, and the simulator that it is compared with: in a process and a
home of its own, for one run, spoken to by HTTP only."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hetang.connectors.wecom.conformance import commands
from hetang.connectors.wecom.conformance.running import Side

_SIGNS = {"url": r"base URL\s+(\S+?)/cgi-bin/", "corpid": r"corpid\s+(\S+)", "app": r"app (\d+)\s+secret (\S+)"}


def named(options: argparse.Namespace) -> int:
    """A corp that the options name; its secret comes from the environment, or is asked for. Needs no home."""
    secret = os.environ.get("HETANG_WECOM_SECRET") or getpass.getpass("Secret: ")
    return _compare(options, Side(options.base_url, options.corpid, options.agentid, secret))


def connected(options: argparse.Namespace) -> int:
    """The corp that this home is connected to."""
    from hetang.connectors.wecom.client import default_app
    from hetang.connectors.wecom.errors import NotConnected
    from hetang.platform.sealing import unseal

    try:
        app = default_app()
    except NotConnected:
        print("还没有连接企业微信，请用 --corpid 和 --agentid 指定 / no corp is connected; name one", file=sys.stderr)
        return 2
    return _compare(options, Side(app.corp.address, app.corp.corpid, app.agentid, unseal(app.secret).decode()))


def _compare(options: argparse.Namespace, real: Side) -> int:
    with started() as simulated:
        return commands.conformance(real, simulated, Path(options.report), write=options.write)


class NotStarted(Exception):
    """The simulator ended before it said where it listens."""


@contextmanager
def started() -> Iterator[Side]:
    """The simulator's side; it ends with the block, and its home goes. Raises NotStarted."""
    with tempfile.TemporaryDirectory(prefix="hetang-conformance-") as home:
        command = [sys.executable, "-u", "-m", "hetang.simulator", "--home", home, "--port", "0"]
        command += ["--grow", "small", "--play"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield _told(process)
        finally:
            process.terminate()
            process.wait(timeout=20)
            if process.stdout is not None:
                process.stdout.close()


def _told(process: subprocess.Popen[str]) -> Side:
    """What it prints of itself: address, corp, app with its secret."""
    text = ""
    for line in process.stdout or ():
        text += line
        found = {name: re.search(pattern, text) for name, pattern in _SIGNS.items()}
        url, corp, app = found["url"], found["corpid"], found["app"]
        if url and corp and app:
            return Side(url[1], corp[1], int(app[1]), app[2])
    raise NotStarted("the simulator did not start")
