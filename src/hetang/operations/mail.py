"""Notices by mail, over the SMTP server of the settings."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from hetang.operations import configured
from hetang.operations.errors import NotDelivered
from hetang.operations.messages import Message

TIMEOUT_S = 15.0


def is_set() -> bool:
    """Whether there is a server and somebody to write to."""
    return bool(configured.text("notify.smtp_host") and configured.several("notify.mail_to"))


def send(message: Message) -> None:
    """Hand the mail to the server. Raises NotDelivered."""
    mail = composed(message)
    try:
        with _server() as server:
            user = configured.text("notify.smtp_user")
            if user:
                server.login(user, configured.text("notify.smtp_password"))
            server.send_message(mail)
    except smtplib.SMTPAuthenticationError:
        raise NotDelivered("login") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotDelivered("recipients") from None
    except smtplib.SMTPSenderRefused:
        raise NotDelivered("sender") from None
    except smtplib.SMTPResponseException as problem:
        raise NotDelivered(f"answer_{problem.smtp_code}") from None
    except (ssl.SSLError, smtplib.SMTPNotSupportedError):
        raise NotDelivered("encryption") from None
    except (OSError, smtplib.SMTPException):
        raise NotDelivered("unreachable") from None


def composed(message: Message) -> EmailMessage:
    """The mail. Its Message-ID is that of the notice, so that one sent twice is recognised."""
    sender = configured.text("notify.mail_from") or configured.text("notify.smtp_user")
    domain = sender.rpartition("@")[2] or "localhost"
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(configured.several("notify.mail_to"))
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def _server() -> smtplib.SMTP:
    host, port = configured.text("notify.smtp_host"), configured.number("notify.smtp_port")
    security, trusted = configured.text("notify.smtp_security"), ssl.create_default_context()
    if security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=trusted)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    if security == "starttls":
        try:
            server.starttls(context=trusted)
        except BaseException:
            server.close()
            raise
    return server
