"""The registry of settings: complete, checked, stored, shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from hetang.operations import configured
from hetang.operations.models import SettingValue
from hetang.platform import registry, registry_values
from hetang.platform.access import system
from hetang.platform.registry import SETTINGS

ROOT = Path(__file__).parents[2]


def test_every_variable_that_the_code_reads_is_declared_and_every_declared_one_is_read() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py") if "registry" not in path.name)
    known = {one.env for one in SETTINGS.values()} | registry.INNER | registry.OF_COMMANDS | {"HETANG_WEB"}  # a prefix
    assert set(re.findall(r"HETANG_[A-Z_]+[A-Z]", code)) - known == set()
    by_name = {one.env for one in SETTINGS.values() if f'"{one.name}"' in code}
    unread = {one.env for one in SETTINGS.values()} - by_name - set(re.findall(r"HETANG_[A-Z_]+[A-Z]", code))
    assert unread == set()


def test_every_setting_says_what_it_is_in_both_languages_and_its_default_is_a_value() -> None:
    for setting in SETTINGS.values():
        for text in (setting.zh, setting.label_zh):
            assert re.search("[一-鿿]", text), setting.name
            assert not re.search("[一-鿿][,;:(]", text), f"{setting.name}: Latin mark in Chinese"
        for text in (setting.en, setting.label_en):
            assert not re.search("[一-鿿]", text), setting.name
        assert setting.group in registry.GROUPS
        written = registry_values.shown(setting, setting.default)
        if written:
            assert registry_values.parse(setting, written) == setting.default, setting.name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("backup.at", "23:59", "23:59"),
        ("backup.at", " ", ""),
        ("backup.keep_days", "30", 30),
        ("web.public_url", "https://m.example.com/", "https://m.example.com"),
        ("home.import_paths", "/a:/b", ["/a", "/b"]),
    ],
)
def test_values_are_read_as_people_write_them(name: str, text: str, value: object) -> None:
    assert registry_values.parse(SETTINGS[name], text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("backup.at", "24:00"),
        ("backup.keep_days", "0"),
        ("backup.keep_days", "many"),
        ("web.public_url", "ftp://example.com"),
        ("web.public_url", "http://[bad"),
    ],
)
def test_what_is_no_value_is_refused_in_both_languages(name: str, text: str) -> None:
    with pytest.raises(registry_values.BadValue) as refused:
        registry_values.parse(SETTINGS[name], text)
    assert refused.value.zh != refused.value.en


def test_misspelled_and_unusable_variables_are_found() -> None:
    told = {"HETANG_BACKUP_TIME": "02:00", "HETANG_BACKUP_AT": "noon", "HETANG_SETS_URL": "http://x", "PATH": "/"}
    assert registry_values.unknown(told) == ["HETANG_BACKUP_TIME"]
    assert [setting.env for setting, _problem in registry_values.problems(told)] == ["HETANG_BACKUP_AT"]


@pytest.mark.django_db
def test_the_environment_wins_over_the_console_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    assert (configured.value("backup.keep_days"), configured.source("backup.keep_days")) == (7, "default")
    _save({"backup.keep_days": 9})
    assert (configured.value("backup.keep_days"), configured.source("backup.keep_days")) == (9, "console")
    monkeypatch.setenv("HETANG_BACKUP_KEEP_DAYS", "11")
    assert (configured.value("backup.keep_days"), configured.source("backup.keep_days")) == (11, "environment")
    monkeypatch.delenv("HETANG_BACKUP_KEEP_DAYS")
    _save({"backup.keep_days": 7})
    assert configured.source("backup.keep_days") == "default"
    assert not SettingValue.objects.exists()


def test_what_the_start_chose_is_not_said_to_be_the_operators(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"HETANG_HOME": "/srv/a", "HETANG_CHOSEN": "HETANG_HOME=command", "HETANG_WEB_URL": "https://told.example"}
    env = registry_values.note_chosen(
        {**before, "HETANG_PUBLIC_URL": "http://127.0.0.1:8000", "HETANG_SETS_URL": "http://x", "PATH": "/"}, before
    )
    assert registry_values.chosen(env) == {"HETANG_HOME": "command", "HETANG_PUBLIC_URL": "start"}
    assert registry_values.chosen(registry_values.note_chosen(env, env)) == registry_values.chosen(env)
    assert registry_values.unknown(env) == []
    for name in ("HETANG_PUBLIC_URL", "HETANG_CHOSEN"):
        monkeypatch.setenv(name, env[name])
    assert configured.source("web.public_url") == "start"
    page = headquarters.get("/settings/system/").content.decode()
    shown = page.partition("http://127.0.0.1:8000")[2].partition("</dd>")[0]
    assert "chosen at start" in shown
    monkeypatch.setenv("HETANG_CHOSEN", "")
    assert configured.source("web.public_url") == "environment"


def test_the_page_shows_every_setting_and_saves_a_group(headquarters: Client) -> None:
    page = headquarters.get("/settings/system/").content.decode()
    for setting in SETTINGS.values():
        assert setting.label_en in page, setting.name
    answer = headquarters.post("/settings/system/backup", _form(**{"backup-at": "03:15", "backup-keep_days": "10"}))
    assert answer.status_code == 302
    configured.forget()
    assert (configured.value("backup.at"), configured.value("backup.keep_days")) == ("03:15", 10)


def test_a_wrong_value_is_said_at_its_field_and_nothing_is_saved(headquarters: Client) -> None:
    answer = headquarters.post("/settings/system/backup", _form(**{"backup-at": "03:15", "backup-keep_days": "0"}))
    assert answer.status_code == 422
    assert "it must lie between 1 and 366" in answer.content.decode()
    assert not SettingValue.objects.exists()


def test_what_the_environment_sets_cannot_be_changed_on_the_page(
    headquarters: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETANG_BACKUP_AT", "04:44")
    page = headquarters.get("/settings/system/").content.decode()
    assert "Set by HETANG_BACKUP_AT in the environment." in page
    headquarters.post("/settings/system/backup", _form(**{"backup-at": "03:15"}))
    assert not SettingValue.objects.filter(name="backup.at").exists()


def _form(**changes: str) -> dict[str, str]:
    """The backup group as the page sends it."""
    found = {
        f"backup-{one.name.partition('.')[2]}": registry_values.shown(one, one.default)
        for one in SETTINGS.values()
        if one.group == "backup" and one.in_console
    }
    return {**found, **changes}


def _save(changes: dict[str, registry.Value]) -> None:
    configured.save(system("test"), changes)
    configured.forget()
