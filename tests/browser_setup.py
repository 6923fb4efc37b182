"""`python -m tests.browser_setup`: put a browser here from the system's packages, where that is allowed.

Browser tests skip loudly without one; in CI (`CI=true`) they must run, so here a missing browser is a failure.
Uses the standard library only: it may run before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("chromium", "fonts-wqy-zenhei")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Path of a Chromium on this machine (HETANG_BROWSER names another one)."""
    named = os.environ.get("HETANG_BROWSER")
    if named:
        return named
    return next((path for path in map(shutil.which, NAMES) if path), None)


def main() -> int:
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install(*PACKAGES)
    if find() is not None:
        return 0
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        print("no Chromium found or installable, and in CI the browser tests must run", file=sys.stderr)
        return 1
    print("no Chromium found: the browser tests will be SKIPPED; install chromium to run them", file=sys.stderr)
    return 0


def install(*packages: str) -> None:
    """Install Debian's packages, with fresh lists where the old ones do not do."""
    if _apt_get("install", "-y", "--no-install-recommends", *packages) != 0:
        _apt_get("update")
        _apt_get("install", "-y", "--no-install-recommends", *packages)


def _apt_get(*arguments: str) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
