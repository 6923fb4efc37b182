"""What a notice says, in the current language."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from hetang.operations.alert_kinds import TEST, said, severity_label
from hetang.operations.models import Alert, Notice
from hetang.platform import clock, registry_values
from hetang.platform.brand import brand

LANGUAGES = ("zh-hans", "en")


@dataclass(frozen=True)
class Message:
    """A notice as it leaves: a key by which a second arrival is recognised, words, and the same as data."""

    key: str
    subject: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)


def message_of(notice: Notice) -> Message:
    """The message of a notice in the current language. Its data hold the words in every language."""
    alert = notice.alert
    key = f"hetang-{notice.public_id}"
    return Message(key, _subject(notice, alert), _text(notice, alert), _data(key, notice, alert))


def trouble(code: str) -> str:
    """Why a message did not go out, in the current language."""
    known = {
        "not_set_up": _("This way is not set up any more."),
        "login": _("The mail server refused the user name or the password."),
        "recipients": _("The mail server refused the recipients."),
        "sender": _("The mail server refused the sender."),
        "encryption": _("The encryption with the mail server failed."),
        "unreachable": _("The server could not be reached."),
        "private": _("The address leads into an inner network, which is not allowed."),
        "not_encrypted": _("The address must begin with https."),
        "no_address": _("The address cannot be used."),
        "credentials": _("The address must not hold a user name or a password."),
    }
    if code in known:
        return known[code]
    if code.startswith("answer_"):
        return _("The server answered %(code)s.") % {"code": code.removeprefix("answer_")}
    return code


def _subject(notice: Notice, alert: Alert) -> str:
    words = said(alert.kind, alert.subject, alert.detail)
    name = brand().name or "Hetang"
    if alert.kind == TEST:
        return _("[%(name)s] Test of the notices") % {"name": name}
    if notice.event == Notice.CLOSED:
        return _("[%(name)s] Over: %(sentence)s") % {"name": name, "sentence": words.sentence}
    values = {"name": name, "severity": severity_label(alert.severity), "sentence": words.sentence}
    return _("[%(name)s] %(severity)s: %(sentence)s") % values


def _text(notice: Notice, alert: Alert) -> str:
    words = said(alert.kind, alert.subject, alert.detail)
    lines = [words.sentence]
    if notice.event == Notice.CLOSED:
        lines += [_("Over since %(moment)s.") % {"moment": _moment(alert.closed_at)}]
    else:
        lines += [words.advice, _("Since %(moment)s.") % {"moment": _moment(alert.first_seen_at)}]
    address = console_address()
    if address:
        lines += [f"{address}/operations/alerts/"]
    if alert.kind != TEST:
        lines += [_("You get one message when this begins and one when it is over.")]
    return "\n\n".join(line for line in lines if line)


def console_address() -> str:
    """Where people open the console, or nothing where nobody said it."""
    return str(registry_values.from_environment("web.console_url")).rstrip("/")


def _data(key: str, notice: Notice, alert: Alert) -> dict[str, Any]:
    return {
        "id": key,
        "event": TEST if alert.kind == TEST else notice.event,
        "brand": brand().name,
        "console": console_address(),
        "alert": {
            "id": alert.pk,
            "kind": alert.kind,
            "subject": alert.subject,
            "severity": alert.severity,
            "detail": alert.detail,
            "since": alert.first_seen_at.isoformat(),
            "over_at": alert.closed_at.isoformat() if alert.closed_at else None,
            "sentence": {language: _sentence(alert, language) for language in LANGUAGES},
        },
    }


def _sentence(alert: Alert, language: str) -> str:
    with translation.override(language):
        return said(alert.kind, alert.subject, alert.detail).sentence


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(clock.zone()):%Y-%m-%d %H:%M}" if at else ""
