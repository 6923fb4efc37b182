"""`hetang doctor` on homes in several states."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hetang.platform import clock, environment, sealing, upgrade
from hetang.platform.models import TwoFactor, User
from tests.processes import clean_environment


def test_a_fresh_machine_is_well(tmp_path: Path) -> None:
    code, report = _doctor(tmp_path / "new")
    assert code == 0
    assert "does not exist yet; the first start makes it" in report
    assert "一切正常 / All is well" in report


def test_settings_that_are_misspelled_or_unusable_are_named(tmp_path: Path) -> None:
    code, report = _doctor(tmp_path / "new", HETANG_BACKUP_AT="noon", HETANG_BACKUP_FOLDER="/b", HETANG_WEB_THREADS="6")
    assert code == 1
    assert "HETANG_BACKUP_AT (Nightly backup) cannot be used: write hours and minutes, such as 02:30" in report
    assert "there is no setting HETANG_BACKUP_FOLDER: probably a misspelling" in report
    assert "set in the environment: HETANG_WEB_THREADS, HETANG_BACKUP_AT" in report


def test_an_unfinished_restore_and_a_home_without_backups_are_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "restore.incomplete").touch()
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").touch()
    _code, report = _doctor(tmp_path)
    assert "did not finish; run the same `hetang restore` again" in report
    assert "there is no backup; make one with `hetang backup`" in report


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
    assert "the database cannot be reached: connection failed" in report
    assert "look at HETANG_DATABASE_URL" in report


def test_a_password_in_a_wrong_address_is_not_repeated(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for wrong in (
        "postgresql://me:se-cret@127.0.0.1:1/none",
        "mysql://me:se-cret@h/x",
        "postgresql://me:se-cret@h:p/x",
    ):
        code, report = _doctor(tmp_path, HETANG_DATABASE_URL=wrong)
        assert code == 1
        assert "HETANG_DATABASE_URL" in report
        assert "se-cret" not in report
        assert "Traceback" not in report


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_no_data_directory(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / below
    code, report = _doctor(home)
    assert code == 1
    assert "name another one with --home" in report
    assert "did not finish" not in report
    assert f"{home} is a file, or lies below one" in _refused("up", home)


def test_a_place_that_a_command_cannot_use_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "hetang.cli", "backup", "--to", str(tmp_path / "file" / "b")],
        env=clean_environment(
            HETANG_HOME=str(environment.home()), HETANG_DATABASE_URL=os.environ["HETANG_DATABASE_URL"]
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "lies below one; name another place" in done.stderr
    full = environment.place_unusable(OSError(errno.ENOSPC, "No space left on device"))
    assert full == "no space is left for what was to be written; free some, or name a place on another disk"
    closed = environment.place_unusable(OSError(errno.EACCES, "Permission denied", "/b"))
    assert closed == "this user may not use /b; run as the user that owns it, or name another place"


@pytest.mark.django_db
def test_keys_of_another_database_are_refused(django_user_model: type[User]) -> None:
    user = django_user_model.objects.create_user("lin", created_at=clock.wall())
    foreign = b"\x011" + bytes(12)
    foreign += AESGCM(bytes(32)).encrypt(bytes(12), b"secret", b"1")
    row = TwoFactor.objects.create(user=user, secret=foreign)
    with pytest.raises(upgrade.NotReady, match="are not those of this database"):
        upgrade.check_keys()
    TwoFactor.objects.filter(pk=row.pk).update(secret=sealing.seal(b"secret"))
    upgrade.check_keys()


def test_lost_or_damaged_keys_are_told_and_no_new_ones_are_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    keys = tmp_path / "secrets.json"
    for said in ("is missing", "is damaged"):
        code, report = _doctor(tmp_path)
        assert code == 1
        assert f"{keys} {said}" in report
        assert f"{keys} {said}" in _refused("up", tmp_path)
        assert keys.exists() == (said == "is damaged")
        keys.write_text("{")


def test_what_a_server_says_while_it_stops_is_no_finding(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").write_text("FATAL:  the database system is shutting down\n")
    assert "shutting down" not in _doctor(tmp_path)[1]


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


def _refused(command: str, home: Path) -> str:
    """What a command says that is refused, which it does without a traceback."""
    arguments = [sys.executable, "-m", "hetang.cli", command, "--home", str(home)]
    done = subprocess.run(arguments, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def _doctor(home: Path, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "hetang.cli", "doctor", "--home", str(home)]
    done = subprocess.run(
        command, env=clean_environment(**environment), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr
