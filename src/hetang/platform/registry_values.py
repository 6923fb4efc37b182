"""Reading the values of settings: from the environment, and from what people write. Pure apart from the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from hetang.platform.registry import (
    CHOICE,
    CHOSEN,
    EMAILS,
    HOSTS,
    INNER,
    LISTENER,
    LISTS,
    NETWORKS,
    NUMBER,
    PATHS,
    SETTINGS,
    SEVERAL,
    START,
    SWITCH,
    TIME,
    URL,
    Setting,
    Value,
)


class BadValue(ValueError):
    """A value that a setting cannot have; says why in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def told(name: str, environment: Mapping[str, str] | None = None) -> Value | None:
    """The value that the environment gives a setting; None if it gives none. Raises BadValue."""
    setting = SETTINGS[name]
    text = (os.environ if environment is None else environment).get(setting.env, "")
    return parse(setting, text) if text.strip() else None


def from_environment(name: str) -> Value:
    """The value of a setting that only the environment knows. Raises BadValue."""
    found = told(name)
    return SETTINGS[name].default if found is None else found


def web_threads() -> int:
    """How many pages a web process works out at a time. Raises BadValue."""
    return max(1, cast("int", from_environment("web.web_threads")))


def chosen(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that the start of Hetang set, not the operator: by themselves (START) or by an option (COMMAND)."""
    noted = (os.environ if environment is None else environment).get(CHOSEN, "")
    return dict(one.split("=", 1) for one in noted.split() if "=" in one)


def note_chosen(env: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """`env` with a note of the variables that are new or other in it than `before`, the environment of the start."""
    found = {name: by for name, by in chosen(before).items() if env.get(name) == before.get(name)}
    names = [name for name in env if name.startswith("HETANG_") and name not in INNER]
    found |= {name: START for name in names if env[name] != before.get(name)}
    return {**env, CHOSEN: " ".join(f"{name}={by}" for name, by in sorted(found.items()))}


def parse(setting: Setting, text: str) -> Value:
    """What people write as a value. Empty text is the empty value where there is one. Raises BadValue."""
    text = text.strip()
    if setting.kind == NUMBER:
        return _number(setting, text)
    if setting.kind == SWITCH:
        return _switch(text)
    if setting.kind in LISTS:
        return _list(setting, text)
    if setting.kind == CHOICE:
        return _choice(setting, text)
    check = {TIME: _time, URL: _url, LISTENER: _listener}.get(setting.kind)
    return check(text) if check and text else text


def shown(setting: Setting, value: Value) -> str:
    """A value as people write it; secrets only tell whether there is one."""
    if setting.secret:
        return "••••••" if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return (":" if setting.kind == PATHS else ", ").join(value)
    return str(value)


def problems(environment: Mapping[str, str] | None = None) -> list[tuple[Setting, BadValue]]:
    """Settings whose value in the environment is none."""
    found = []
    for name, setting in SETTINGS.items():
        try:
            told(name, environment)
        except BadValue as problem:
            found.append((setting, problem))
    return found


def unknown(environment: Mapping[str, str] | None = None) -> list[str]:
    """Variables of the environment that look like settings and are none: usually a misspelling."""
    names = {one.env for one in SETTINGS.values()} | INNER
    ours = os.environ if environment is None else environment
    return sorted(name for name in ours if name.startswith("HETANG_") and name not in names and not _of_tests(name))


def _of_tests(name: str) -> bool:
    return name.startswith(("HETANG_TEST_", "HETANG_BROWSER"))


def _number(setting: Setting, text: str) -> int:
    if not re.fullmatch(r"-?\d{1,12}", text):
        raise BadValue("请填整数", "write a whole number")
    value = int(text)
    if not setting.least <= value <= setting.most:
        raise BadValue(
            f"应在 {setting.least} 和 {setting.most} 之间", f"it must lie between {setting.least} and {setting.most}"
        )
    return value


def _switch(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"", "0", "false", "no", "off"}:
        return False
    raise BadValue("请填 yes 或 no", "write yes or no")


def _choice(setting: Setting, text: str) -> str:
    allowed = [value for value, _zh, _en in setting.choices]
    if text not in allowed:
        raise BadValue(f"只能是 {'、'.join(allowed)}", f"it must be one of {', '.join(allowed)}")
    return text


def _time(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise BadValue("请写出时和分，如 02:30", "write hours and minutes, such as 02:30")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise BadValue("请填以 http:// 或 https:// 开头的网址", "write an address that begins with http:// or https://")
    return text.rstrip("/")


def _listener(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise BadValue("请写出地址和端口，如 0.0.0.0:8080", "write address and port, such as 0.0.0.0:8080")
    return text


def _list(setting: Setting, text: str) -> list[str]:
    kind = setting.kind
    parts = [part.strip() for part in re.split(r"[:]" if kind == PATHS else r"[,;\s]+", text) if part.strip()]
    for part in parts:
        if kind == EMAILS and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", part):
            raise BadValue(f"{part} 不是邮件地址", f"{part} is no mail address")
        if kind == NETWORKS:
            _network(part)
        if kind == SEVERAL:
            _choice(setting, part)
        if kind == HOSTS and not re.fullmatch(r"\.?[A-Za-z0-9.\-:\[\]]+", part):
            raise BadValue(f"{part} 不是主机名", f"{part} is no host name")
    return parts


def _network(part: str) -> None:
    try:
        ipaddress.ip_network(part, strict=False)
    except ValueError:
        raise BadValue(f"{part} 不是地址或网段", f"{part} is no address or network") from None
