"""The values of settings: what the environment says, else what the console stored, else the default."""

from __future__ import annotations

import time
from typing import Any, cast

from django.db import transaction

from hetang.operations.models import SettingValue
from hetang.platform import audit, clock
from hetang.platform import registry_values as values
from hetang.platform.access import Actor
from hetang.platform.registry import CONSOLE, ENVIRONMENT, SETTINGS, Setting, Value
from hetang.platform.sealing import seal, unseal

TTL_S = 5.0  # a changed value is seen by every process after so long
DEFAULT = "default"
_cached: tuple[float, dict[str, Value]] = (float("-inf"), {})


def value(name: str) -> Value:
    """The value in force."""
    setting = SETTINGS[name]
    told = values.told(name)
    if told is not None:
        return told
    return _stored().get(name, setting.default) if setting.in_console else setting.default


def text(name: str) -> str:
    """The value of a setting that is text."""
    return cast(str, value(name))


def number(name: str) -> int:
    """The value of a setting that is a whole number."""
    return cast(int, value(name))


def several(name: str) -> list[str]:
    """The value of a setting that is a list."""
    return cast("list[str]", value(name))


def source(name: str) -> str:
    """Who decided the value in force: the operator's environment, an option of the command (`command`), Hetang itself
    at its start (`start`), the settings page (`console`) or nobody (`default`)."""
    if values.told(name) is not None:
        return values.chosen().get(SETTINGS[name].env, ENVIRONMENT)
    return CONSOLE if SETTINGS[name].in_console and name in _stored() else DEFAULT


@transaction.atomic
def save(actor: Actor, changes: dict[str, Value]) -> None:
    """Store values, with one audit row that names what changed; a value equal to the default is forgotten."""
    noted: dict[str, Any] = {}
    for name, new in changes.items():
        setting = SETTINGS[name]
        if not setting.in_console:
            raise KeyError(f"{name} is not set in the console")
        old = value(name)
        if old == new:
            continue
        noted[name] = ["***", "***"] if setting.secret else [values.shown(setting, old), values.shown(setting, new)]
        _store(setting, new)
    if noted:
        audit.record(actor, "settings.changed", "settings", "system", noted)
    transaction.on_commit(forget)


def forget() -> None:
    """Drop what was read, so that the next value is fresh."""
    global _cached  # noqa: PLW0603 - one cache per process is the point
    _cached = (float("-inf"), {})


def _store(setting: Setting, new: Value) -> None:
    rows = SettingValue.objects.filter(name=setting.name)
    if new == setting.default:
        rows.delete()
        return
    stored: dict[str, Any] = {"changed_at": clock.now(), "value": None, "sealed": None}
    stored["sealed" if setting.secret else "value"] = seal(str(new).encode()) if setting.secret else new
    SettingValue.objects.update_or_create(name=setting.name, defaults=stored)


def _stored() -> dict[str, Value]:
    global _cached  # noqa: PLW0603
    read_at, found = _cached
    if time.monotonic() - read_at > TTL_S:
        found = {row.name: _opened(row) for row in SettingValue.objects.all() if row.name in SETTINGS}
        _cached = (time.monotonic(), found)
    return found


def _opened(row: SettingValue) -> Value:
    if row.sealed is not None:
        return unseal(row.sealed).decode()
    return cast(Value, row.value)
