"""Messages about alerts: delivered, tried again, recognised when they arrive twice, and never into our own network."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from django.db import connection

from hetang.operations import notices, webhook
from hetang.operations.models import Alert, Notice
from hetang.platform import outgoing
from hetang.platform.models import Brand
from tests.operations.receivers import MailServer, Receiver

SECRET = "k" * 20


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver().running() as running:
        monkeypatch.setenv("HETANG_NOTIFY_WEBHOOK_URL", running.url)
        monkeypatch.setenv("HETANG_NOTIFY_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("HETANG_WEBHOOK_NETWORKS", "127.0.0.0/8")
        yield running


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer().running() as running:
        monkeypatch.setenv("HETANG_NOTIFY_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("HETANG_NOTIFY_SMTP_PORT", str(running.port))
        monkeypatch.setenv("HETANG_NOTIFY_SMTP_SECURITY", "none")
        monkeypatch.setenv("HETANG_NOTIFY_MAIL_FROM", "hetang@example.org")
        monkeypatch.setenv("HETANG_NOTIFY_MAIL_TO", "it@example.org, boss@example.org")
        yield running


def _alert(subject: str = "customers") -> Alert:
    Brand.objects.update_or_create(id=1, defaults={"name": "荷\r\nBcc: all@example.org"})
    now = datetime.now(UTC)
    times = {"first_seen_at": now, "last_seen_at": now, "opened_at": now}
    alert = Alert.objects.create(
        kind="stream_lag", subject=subject, severity="warn", detail={"seconds": 400, "limit": 300}, **times
    )
    notices.write([alert.pk], Notice.OPENED, now)
    return alert


def _due_again() -> None:
    Notice.objects.filter(state=Notice.WAITING).update(next_try_at=datetime.now(UTC))


def _states() -> list[tuple[str, int, str]]:
    return list(Notice.objects.order_by("id").values_list("state", "attempts", "error"))


@pytest.mark.django_db
def test_a_webhook_is_signed_tried_again_and_recognised(receiver: Receiver) -> None:
    _alert()
    receiver.statuses = [500, 200]
    notices.run_once()
    assert _states() == [("waiting", 1, "answer_500")]
    notices.run_once()
    assert len(receiver.got) == 1, "its next try comes after a pause"
    _due_again()
    notices.run_once()
    assert _states() == [("sent", 2, "")]
    (first, body), (second, again) = receiver.got
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    assert body == again
    signed = hmac.new(SECRET.encode(), f"{second['X-Hetang-Timestamp']}.".encode() + again, hashlib.sha256)
    assert second["X-Hetang-Signature"] == f"v1={signed.hexdigest()}"
    told = json.loads(again)
    assert (told["event"], told["alert"]["kind"]) == ("opened", "stream_lag")
    assert "customers" in told["alert"]["sentence"]["en"]
    assert "数据流" in told["alert"]["sentence"]["zh-hans"]


@pytest.mark.django_db
def test_what_is_refused_for_good_is_not_tried_again_and_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [302]
    _alert()
    notices.run_once()
    assert _states() == [("failed", 1, "answer_302")]
    assert len(receiver.got) == 1


@pytest.mark.django_db
def test_one_that_is_cut_off_between_sending_and_noting_goes_out_again_under_its_key(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _alert()
    send = webhook.send

    def then_die(message: object) -> None:
        send(message)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(notices._ROADS, Notice.WEBHOOK, (webhook.is_set, then_die))
        with pytest.raises(KeyboardInterrupt):
            notices.run_once()
    assert _states() == [("waiting", 1, "")]
    _due_again()
    notices.run_once()
    assert _states() == [("sent", 2, "")]
    assert len({headers["Idempotency-Key"] for headers, _body in receiver.got}) == 1


@pytest.mark.django_db(transaction=True)
def test_several_that_deliver_at_once_send_each_message_once(receiver: Receiver) -> None:
    for number in range(6):
        _alert(f"stream-{number}")
    begin = threading.Barrier(3)

    def deliver() -> None:
        begin.wait()
        notices.run_once()
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [headers["Idempotency-Key"] for headers, _body in receiver.got]
    assert (len(keys), len(set(keys))) == (6, 6)


@pytest.mark.django_db
@pytest.mark.parametrize(("form", "refusal"), [("robot", {"errcode": 93000}), ("feishu", {"code": 19021})])
def test_a_robot_gets_text_and_its_refusal_counts(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, form: str, refusal: dict[str, int]
) -> None:
    monkeypatch.setenv("HETANG_NOTIFY_WEBHOOK_FORM", form)
    receiver.body = json.dumps(refusal).encode()
    _alert()
    notices.run_once()
    assert _states()[0][0] == "waiting"
    receiver.body = b'{"errcode": 0, "code": 0}'
    _due_again()
    notices.run_once()
    assert _states()[0][0] == "sent"
    sent = json.loads(receiver.got[-1][1])
    assert "落后" in (sent.get("text") or sent["content"])["content" if form == "robot" else "text"]


@pytest.mark.django_db
def test_a_mail_is_chinese_has_the_notices_id_and_no_header_of_somebody_else(mailbox: MailServer) -> None:
    alert = _alert()
    notices.run_once()
    assert _states() == [("sent", 1, "")]
    mail = message_from_bytes(mailbox.mails[0], policy=policy.default)
    assert mail["Message-ID"] == f"<hetang-{Notice.objects.get().public_id}@example.org>"
    assert "告警" in mail["Subject"] or "警告" in mail["Subject"]
    assert mail["To"] == "it@example.org, boss@example.org"
    assert mail["Bcc"] is None
    assert "400 秒" in mail.get_content()
    Alert.objects.filter(pk=alert.pk).update(closed_at=datetime.now(UTC))
    notices.write([alert.pk], Notice.CLOSED, datetime.now(UTC))
    notices.run_once()
    assert len(mailbox.mails) == 2


@pytest.mark.django_db
def test_a_mail_server_that_refuses_is_named_without_a_password(
    mailbox: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.refuse = "RCPT"
    _alert()
    notices.run_once()
    assert _states() == [("waiting", 1, "recipients")]
    monkeypatch.setenv("HETANG_NOTIFY_SMTP_PORT", "1")
    _due_again()
    notices.run_once()
    assert _states() == [("waiting", 2, "unreachable")]
    monkeypatch.setenv("HETANG_NOTIFY_MAIL_TO", "")
    Notice.objects.update(next_try_at=datetime.now(UTC) - timedelta(seconds=1))
    notices.run_once()
    assert _states() == [("failed", 3, "not_set_up")]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1/", "private"),
        ("https://10.1.2.3/", "private"),
        ("https://169.254.169.254/latest/meta-data", "private"),
        ("https://[::1]/", "private"),
        ("https://[::ffff:127.0.0.1]/", "private"),
        ("https://[64:ff9b::7f00:1]/", "private"),
        ("https://[fe80::1]/", "private"),
        ("https://0.0.0.0/", "private"),
        ("https://2130706433/", "private"),  # 127.0.0.1 as one number
        ("https://0x7f.1/", "private"),
        ("https://localhost/", "private"),
        ("https://224.0.0.1/", "private"),
        ("http://93.184.215.14/", "not_encrypted"),
        ("https://user:pass@93.184.215.14/", "credentials"),
        ("ftp://93.184.215.14/", "no_address"),
        ("https://", "no_address"),
        ("https://[bad/", "no_address"),
    ],
)
def test_addresses_of_the_inside_are_refused(url: str, why: str) -> None:
    with pytest.raises(outgoing.Forbidden) as refused:
        outgoing.check(url)
    assert refused.value.code == why


def test_a_name_that_leads_inside_with_one_of_its_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(None, None, None, "", (address, port)) for address in ("93.184.215.14", "192.168.0.9")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(outgoing.Forbidden):
        outgoing.check("https://rebind.example.org/")
    target = outgoing.check("https://rebind.example.org/", ["192.168.0.0/16"])
    assert target.address == "93.184.215.14"
