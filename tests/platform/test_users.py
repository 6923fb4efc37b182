"""`hetang user add`: who may log in, from a shell."""

from __future__ import annotations

import getpass
import io
from pathlib import Path

import pytest

from hetang import cli
from hetang.platform import organisation, users
from hetang.platform.models import AuditEntry, Grant, OrgNode, User

pytestmark = pytest.mark.django_db

GOOD = "a-long-Passw0rd"


@pytest.fixture(autouse=True)
def _no_password_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETANG_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.fixture
def shop() -> OrgNode:
    root = organisation.root()
    return OrgNode.objects.create(code="330", name="North Gate", parent=root, path=f"{root.path}330.", kind="store")


def add(*arguments: str) -> int:
    return cli.main(["user", "add", *arguments])


def type_in(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> None:
    """Sit at a terminal and type these, one at each question."""
    typed = iter(passwords)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ask(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", ask)


def test_a_role_at_the_whole_brand_and_its_audit_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HETANG_PASSWORD", GOOD)
    assert add("lin", "--display-name", "林") == 0
    user = User.objects.get(username="lin")
    assert (user.display_name, user.check_password(GOOD), user.is_active) == ("林", True, True)
    grant = Grant.objects.get(user=user)
    assert (grant.role, grant.org_node_id) == ("headquarters", organisation.root().pk)
    entry = AuditEntry.objects.get(action="user.created")
    assert (entry.target_id, entry.changes["username"]) == (str(user.pk), "lin")
    said = capsys.readouterr()
    assert said.out == "lin may log in as headquarters\n"
    assert GOOD not in said.out + said.err + str(entry.changes)


def test_a_store_manager_of_one_shop(monkeypatch: pytest.MonkeyPatch, shop: OrgNode) -> None:
    monkeypatch.setenv("HETANG_PASSWORD", GOOD)
    assert add("wu", "--role", "store_manager", "--node", "330") == 0
    grant = Grant.objects.get(user__username="wu")
    assert (grant.role, grant.org_node_id) == ("store_manager", shop.pk)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lin", "--role", "king"], "there is no role 'king'; choose one of "),
        (["lin", "--node", "nowhere"], "there is no place with the code 'nowhere' in the organisation"),
        ([""], "a user name has 1 to 80 printable characters"),
        (["  lin"], "without spaces around them"),
        (["l" * 81], "a user name has 1 to 80 printable characters"),
        (["lin\n"], "printable characters"),
    ],
)
def test_bad_input_is_refused_before_a_password_is_asked_for(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch)  # a question would end in "no password was given"
    assert add(*arguments) == 2
    refusal = capsys.readouterr().err
    assert refusal.startswith("hetang: ")
    assert said in refusal
    assert not User.objects.exists()


def test_a_name_is_taken_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HETANG_PASSWORD", GOOD)
    assert [add("lin"), add("lin")] == [0, 2]
    assert "lin exists already" in capsys.readouterr().err
    assert User.objects.count() == 1


def test_a_password_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, GOOD, GOOD)
    assert add("lin") == 0
    assert User.objects.get().check_password(GOOD)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([GOOD, GOOD + "x"], "the two passwords differ"),
        ([], "no password was given"),
        (["short", "short"], "too short"),
        (["12345678901", "12345678901"], "entirely numeric"),
    ],
)
def test_what_is_typed_wrong_adds_nobody(
    typed: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, *typed)
    assert add("lin") == 2
    assert said in capsys.readouterr().err
    assert not User.objects.exists()
    assert not Grant.objects.exists()


def test_without_a_terminal_it_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert add("lin") == 2
    assert "say --generate, or set HETANG_PASSWORD" in capsys.readouterr().err


def test_a_drawn_password_is_printed_once_and_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert add("lin", "--generate") == 0
    password = capsys.readouterr().out.splitlines()[1].removeprefix("password 密码: ")
    assert len(password) == 16
    assert User.objects.get().check_password(password)


def test_nothing_is_left_of_a_user_whose_place_is_unknown() -> None:
    with pytest.raises(users.UserRefused):
        users.add("lin", GOOD, role="headquarters", node_code="nowhere")
    assert not User.objects.exists()


def test_a_home_without_data_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hetang.platform import environment

    monkeypatch.setattr(environment, "home", lambda: tmp_path)
    monkeypatch.setenv("HETANG_DATABASE_URL", "")
    assert add("lin", "--generate") == 2
    assert f"{tmp_path} holds no data yet; start it once with `hetang up --home {tmp_path}`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
