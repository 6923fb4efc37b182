"""An upgrade is rehearsed on a copy: what fails there changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetang.platform import postgres
from hetang.platform.backups import folder
from tests import template
from tests.platform.backups import homes

LATER = {
    "DJANGO_SETTINGS_MODULE": "tests.platform.backups.later_settings",
    "PYTHONPATH": str(Path(__file__).parents[3]),  # the processes below do not look into the current folder
}
ADD = """
import sys
from datetime import UTC, datetime
from hetang.platform.models import Brand, User
Brand.objects.create(id=1, name="Lotus")
User.objects.create(username=sys.argv[1], created_at=datetime.now(UTC))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in use, by the version before."""
    template.copy(tmp_path / "home")
    return tmp_path / "home"


def _use(home: Path, username: str) -> None:
    with homes.running(home) as server:
        homes.python(home, server.url, ADD, username)


def _state(server: postgres.Server) -> tuple[int, bool]:
    applied = homes.ask(server.url, "select count(*) from django_migrations where app = 'later'")
    return applied, homes.ask(server.url, "select to_regclass('later_thing') is not null")


def test_a_rehearsal_tells_times_and_locks_and_the_upgrade_does_the_same(home: Path) -> None:
    _use(home, "ann")
    with homes.running(home) as server:  # the earlier version still runs
        tried = homes.hetang(home, "upgrade", "--rehearse", **LATER)
        assert tried.returncode == 0, tried.stderr
        assert _state(server) == (0, False)
    assert "later.0001_note" in tried.stdout
    assert "platform_brand (1 rows, blocks everything)" in tried.stdout
    assert not (home / "run" / "rehearsal").exists()

    done = homes.hetang(home, "upgrade", **LATER)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 migrations applied; start with `hetang up`"
    with homes.running(home) as server:
        assert _state(server) == (2, True)
    assert len(folder.complete(home / "backups")) == 2
    again = homes.hetang(home, "upgrade", **LATER)
    assert again.stdout == "0 migrations applied; start with `hetang up`\n"


def test_a_failing_rehearsal_changes_nothing(home: Path) -> None:
    _use(home, "disliked")
    refused = homes.hetang(home, "upgrade", **LATER)
    assert refused.returncode == 2
    assert "the rehearsal failed, nothing was changed: later.0002_check" in refused.stderr
    with homes.running(home) as server:
        assert _state(server) == (0, False)

    forced = homes.hetang(home, "upgrade", "--without-rehearsal", **LATER)
    assert forced.returncode == 2
    assert f"the state before is in {home / 'backups'}" in forced.stderr
    with homes.running(home) as server:
        assert _state(server) == (1, True)


def test_a_home_that_nobody_uses_yet_is_migrated_without_ceremony(home: Path) -> None:
    done = homes.hetang(home, "upgrade", **LATER)
    assert done.returncode == 0, done.stderr
    assert not (home / "backups").exists()
