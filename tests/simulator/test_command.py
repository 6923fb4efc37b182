"""`hetang simulate` alone: what it prints is all that a client needs."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import httpx


def started(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The process and the five lines that it prints."""
    command = [sys.executable, "-m", "hetang.cli", "simulate", "--home", str(home), "--port", "0", "--play"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "--grow", "small"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    assert process.stdout is not None
    lines = []
    for _ in range(5):
        assert select.select([process.stdout], [], [], 60)[0], "the simulator did not start"
        lines.append(process.stdout.readline().decode())
    return process, "".join(lines)


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()


def test_a_client_works_with_what_is_printed(tmp_path: Path) -> None:
    process, told = started(tmp_path)
    try:
        base, play = re.findall(r"base URL\s+(\S+)", told)[0], re.findall(r"play on\s+(\S+)", told)[0]
        who = {"corpid": re.findall(r"corpid\s+(\S+)", told)[0], "corpsecret": told.split()[-1]}
        token = httpx.get(f"{base}gettoken", params=who).json()["access_token"]
        query = {"access_token": token}
        members = httpx.get(f"{base}externalcontact/get_follow_user_list", params=query).json()["follow_user"]
        assert len(members) == 10
        assert httpx.get(play, follow_redirects=False).status_code == 302
    finally:
        stopped(process)


def test_a_size_that_is_unknown_is_refused() -> None:
    command = [sys.executable, "-m", "hetang.cli", "simulate", "--grow", "huge"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"invalid choice: 'huge'" in done.stderr) == (2, True)
