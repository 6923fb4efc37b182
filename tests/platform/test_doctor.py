"""`hetang doctor` on homes in several states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import clean_environment


def test_a_fresh_machine_is_well(tmp_path: Path) -> None:
    code, report = _doctor(tmp_path / "new")
    assert code == 0
    assert "does not exist yet; the first start makes it" in report
    assert "一切正常 / All is well" in report


def test_a_home_open_to_others_is_wrong_and_the_cure_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    code, report = _doctor(tmp_path)
    assert code == 1
    assert f"chmod 700 {tmp_path}" in report
    assert "1 个问题 / 1 problem(s)" in report


def test_a_server_that_does_not_answer_is_wrong(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    code, report = _doctor(tmp_path, HETANG_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert code == 1
    assert "the database cannot be used" in report


@pytest.mark.django_db
def test_the_servers_version_and_text_order_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from hetang.platform import upgrade

    upgrade.check_server()
    monkeypatch.setattr(upgrade, "OLDEST_SERVER", 99)
    with pytest.raises(upgrade.NotReady, match="is too old; version 99 or newer is needed"):
        upgrade.check_server()
    monkeypatch.setattr(upgrade, "OLDEST_SERVER", 15)
    monkeypatch.setattr(upgrade, "_UNICODE_SAFE", ())
    with pytest.raises(upgrade.NotReady, match="sorts text by"):
        upgrade.check_server()


def _doctor(home: Path, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "hetang.cli", "doctor", "--home", str(home)]
    done = subprocess.run(
        command, env=clean_environment(**environment), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr
