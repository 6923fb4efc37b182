"""What counts as wrong."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hetang.operations import certificates, conditions, rates
from hetang.operations.conditions import Condition
from hetang.platform import api_keys, environment, jobs
from hetang.platform.metrics import Family, Sample
from hetang.platform.models import Brand, JobRun
from tests.operations.test_schedule import _backup

Disk = namedtuple("Disk", "total used free")


def _kinds(source: Callable[[], Iterator[Condition]]) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in source()]


@pytest.mark.django_db
@pytest.mark.parametrize(("free_gb", "kinds"), [(50, []), (9, ["disk_low"]), (0.5, ["disk_low", "disk_full"])])
def test_a_disk_is_low_and_then_full(free_gb: float, kinds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(100 << 30, 0, int(free_gb * (1 << 30)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: disk)
    (environment.home() / "backups").mkdir(exist_ok=True)  # on the same disk: told once
    assert [(one.kind, one.subject) for one in conditions.disks()] == [(kind, "home") for kind in kinds]


@pytest.mark.django_db
def test_a_backup_grows_too_old_but_not_in_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_BACKUPS", str(tmp_path))
    monkeypatch.setattr(conditions, "brand", Brand)
    assert _kinds(conditions.backups) == [], "an installation of this hour needs none yet"
    monkeypatch.setattr(conditions, "_age_hours", lambda: 40.0)
    assert _kinds(conditions.backups) == [("backup_missing", "")]
    _backup(tmp_path, datetime.now(UTC) - timedelta(hours=37))
    assert _kinds(conditions.backups) == [("backup_old", "")]
    _backup(tmp_path, datetime.now(UTC) - timedelta(hours=35))
    assert _kinds(conditions.backups) == []
    monkeypatch.setattr(conditions, "_age_hours", lambda: 400.0)
    monkeypatch.setattr(conditions, "brand", lambda: Brand(demo=True))
    assert _kinds(conditions.backups) == []


@pytest.mark.django_db
def test_keys_are_named_before_they_expire_and_do_not_work_after() -> None:
    soon, plain = api_keys.create("till", ["facts:write"], None, timedelta(days=13, hours=1))
    api_keys.create("shop", ["facts:write"], None, timedelta(days=15))
    api_keys.create("old", ["facts:write"], None)
    found = [one for one in conditions.expiring() if one.kind == "api_key"]
    assert [(one.subject, one.detail) for one in found] == [(soon.prefix, {"name": "till", "days": 13})]
    assert api_keys.verify(plain, "facts:write") is not None
    soon.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    soon.save()
    api_keys.forget()
    assert api_keys.verify(plain, "facts:write") is None
    assert [one for one in conditions.expiring() if one.kind == "api_key_over"] == []  # nobody ever used it
    soon.last_used_at = soon.expires_at - timedelta(minutes=5)
    soon.save()
    assert [one.subject for one in conditions.expiring() if one.kind == "api_key_over"] == [soon.prefix]
    soon.revoked_at = datetime.now(UTC)
    soon.save()
    assert [one for one in conditions.expiring() if one.kind == "api_key_over"] == []


@pytest.mark.django_db
def test_what_starts_by_itself_is_named_when_its_last_run_failed() -> None:
    for kind, state in (("a", "failed"), ("a", "done"), ("b", "done"), ("b", "failed")):
        run = jobs.enqueue(kind, f"Job {kind}", {})
        JobRun.objects.filter(pk=run.pk).update(state=state)
    stuck = jobs.enqueue("c", "Job c", {})
    JobRun.objects.filter(pk=stuck.pk).update(beat_at=datetime.now(UTC) - timedelta(minutes=31))
    assert _kinds(conditions.job_runs) == [("job_stuck", str(stuck.public_id)), ("job_failed", "b")]


def test_failures_are_counted_over_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    total = [100.0]

    def everything() -> list[Family]:
        sample = Sample("hetang_sends_total", (("channel", "wecom"), ("outcome", "refused")), total[0])
        return [Family("hetang_sends_total", "counter", "", (sample,))]

    monkeypatch.setattr(rates.metric_files, "everything", everything)
    recent = rates.Recent("hetang_sends_total", lambda labels: labels["outcome"])
    assert recent.growth(now=0) == {}, "what was counted before we looked is no news"
    total[0] += 7
    assert recent.growth(now=15) == {"refused": 7}
    assert recent.growth(now=590) == {"refused": 7}
    assert recent.growth(now=616) == {}


def test_a_clock_that_jumps_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = [1000.0], [0.0]
    monkeypatch.setattr(conditions.time, "time", lambda: wall[0])
    monkeypatch.setattr(conditions.time, "monotonic", lambda: steady[0])
    watch = conditions.ClockWatch()
    wall[0], steady[0] = 1016.0, 15.0
    assert watch.jumped() == 0
    wall[0], steady[0] = 1016.0 - 3600, 30.0
    assert watch.jumped() == -3615.0
    wall[0], steady[0] = wall[0] + 700, 730.0
    assert watch.jumped() == 0


@pytest.mark.parametrize(("days", "kinds"), [(30, []), (5, ["certificate"]), (-1, ["certificate_over"])])
@pytest.mark.django_db
def test_the_certificate_of_our_address_is_looked_at(
    days: int, kinds: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _tls_server(tmp_path, days) as port:
        monkeypatch.setenv("HETANG_PUBLIC_URL", f"https://localhost:{port}")
        monkeypatch.setattr(certificates, "_known", {})
        assert [one.kind for one in conditions.expiring()] == kinds


class _tls_server:  # noqa: N801 - reads as the context manager that it is
    """A server with a certificate that ends in so many days."""

    def __init__(self, folder: Path, days: int) -> None:
        now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days, hours=1)).sign(key, hashes.SHA256())
        )  # fmt: skip
        pem = folder / "both.pem"
        none = serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)
        pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return int(self._socket.getsockname()[1])

    def _serve(self) -> None:
        try:
            connection, _address = self._socket.accept()
            with self._context.wrap_socket(connection, server_side=True):
                pass
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)
        self._socket.close()
