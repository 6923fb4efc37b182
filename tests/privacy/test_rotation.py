"""New keys: everything is readable and found meanwhile, nothing is left under the old ones, whoever dies when."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, connections
from django.db.models import BinaryField

from hetang.commerce.models import CustomerMetric
from hetang.customers import queries, rekeying, suspicions
from hetang.customers.models import Customer, Identity
from hetang.customers.rules import name_to_match
from hetang.facts import intake, subscriptions
from hetang.facts.intake import Draft
from hetang.platform import api_keys, environment, files, jobs, resealing, sealing
from hetang.platform.access import actor_for, system
from hetang.platform.backups import keys
from hetang.platform.environment import secrets_of_home
from hetang.platform.models import AuditEntry, StoredFile
from hetang.privacy import commands, erasing, rotation
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import KeyRotation
from tests.console import cast as people
from tests.console.conftest import client_of
from tests.privacy import story, traces

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 1, 5, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No waiting where one process has all the secrets at once; the keys of the other tests come back."""
    path = environment.ensure_home() / "secrets.json"
    sealing.seal(b"")
    before = path.read_bytes()
    monkeypatch.setattr(rotation, "SETTLE_S", 0.0)
    monkeypatch.setattr(rotation, "BREATH_S", 0.0)
    yield
    path.write_bytes(before)
    environment.forget_secrets()
    api_keys.forget()


def rotate() -> KeyRotation:
    return rotation.carry_out(rotation.begin(system("test")).pk)


def draft(kind: str, key: str, *who: tuple[str, str], **body: Any) -> Draft:
    return Draft(kind, key, AT, who, body)


def order(key: str, *who: tuple[str, str], net: int = 100) -> Draft:
    return draft("order.placed", key, *who, net=net, lines=[{"sku": "S", "amount": net}])


def follow() -> None:
    """The people's and the orders' streams catch up."""
    while sum(subscriptions.advance(one) for one in subscriptions.all_subscriptions() if one.name != "history"):
        pass


def sealed_with(key_id: str) -> list[str]:
    """Every place of the database and the home that holds something sealed with this key."""
    mark = bytes([len(key_id)]) + key_id.encode()
    found = [
        f"{table}.{column}"
        for table, column, value in traces._cells()
        if isinstance(value, bytes | memoryview) and bytes(value).startswith(mark) and _opens(bytes(value))
    ]
    stored = (environment.home() / "files").glob("*.sealed")
    return sorted({*found, *(path.name for path in stored if path.read_bytes()[4:].startswith(mark))})


def _opens(value: bytes) -> bool:
    try:
        sealing.unseal(value)
    except Exception:
        return False
    return True


# the whole house ------------------------------------------------------------------------------------------------------


def picture(number: int) -> dict[str, Any]:
    """What is known of somebody, as pages show it."""
    customer = Customer.objects.get(pk=number)
    known = queries.portrait(customer.public_id, AT)
    return {
        "portrait": (known.name, known.identities, known.attributes, known.home_store, known.owner),
        "timeline": [(one.occurred_at, one.kind, one.text) for one in queries.timeline(number).entries],
        "by_phone": list(queries.find(story.PHONE, Customer.objects.all()).values_list("pk", flat=True)),
        "by_mail": list(queries.find(story.MAIL, Customer.objects.all()).values_list("pk", flat=True)),
        "sums": list(CustomerMetric.objects.order_by("pk").values_list("pk", "orders", "gmv", "visits")),
        "files": [b"".join(files.read(one)) for one in StoredFile.objects.order_by("pk")],
    }


@pytest.mark.engine
def test_nothing_is_left_under_the_old_keys_and_everything_is_as_it_was(eve: int) -> None:
    machine, plain = api_keys.create("till", ["facts:write"], None)
    hashes = [sealing.lookup_key("phone", story.PHONE), sealing.lookup_key("email", story.MAIL)]
    suspicions.key_names()
    hashes.append(sealing.lookup_key("name", name_to_match(story.NAME)))
    before, old = picture(eve), secrets_of_home()
    assert len(sealed_with(old.sealing_current)) > 5
    assert all(traces.in_database([one]) for one in hashes)
    done = rotate()
    now = secrets_of_home(fresh=True)
    assert (done.finished_at is not None, now.sealing_current != old.sealing_current) == (True, True)
    assert (now.lookup != old.lookup, now.lookup_other, now.lookup_past) == (True, "", [old.lookup])
    assert sealed_with(old.sealing_current) == []
    assert traces.in_database(hashes) == []
    assert traces.in_history(hashes) == []
    assert rotation.left().nothing
    assert picture(eve) == before
    assert api_keys.verify(plain, "facts:write") == machine
    # life goes on: she comes again, and is herself
    assert not intake.record("pos", [order("o9", ("phone", story.PHONE), net=700)]).rejected
    subscriptions.run_until_idle()
    assert CustomerMetric.objects.get(pk=eve).gmv == 1290 + 2500 - 500 + 700
    # and she can be erased
    erasing.order(system("test"), Customer.objects.get(pk=eve), "asked", objects=True)
    jobs.run_waiting()
    assert traces.in_database([*story.VALUES, sealing.lookup_key("phone", story.PHONE)]) == []


def test_every_sealed_column_is_declared() -> None:
    """A new column with a comment `sealed` or such a name must be walked; a bitmap must not."""
    bitmaps = {
        "members",
        "people",
        "ids",
        "leaves",
        "customers",
        "staff",
        "stores",
        "variants",
        "thumbnail",
        "untouched",
        "entered_members",
        "left_members",
        "moved",
        "bits",
        "put_on",
        "taken_off",
        "differs",
        "digest",
    }
    together = {"customers_identity.sealed", "facts_fact.sealed"}  # with their lookup keys
    columns = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, BinaryField) and field.column not in bitmaps
    }
    assert columns - together == {column.code for column in resealing.columns()}
    assert len(resealing.columns()) == len(settings.SEALED_COLUMNS)


# facts under either key -----------------------------------------------------------------------------------------------


def known_as(phone: str) -> list[tuple[str, int]]:
    """(key, customer) of the identities with this value."""
    rows = Identity.objects.filter(kind="phone")
    return [(row.key, row.customer_id) for row in rows if sealing.unseal(row.sealed or b"").decode() == phone]


def test_facts_under_either_key_mean_the_same_person_at_every_moment() -> None:
    one, two, new = "13800000001", "13900000002", "13700000003"
    intake.record("pos", [order("a", ("phone", one)), order("b", ("member", "m"), ("phone", two))])
    follow()
    begun = rotation.begin(system("test"))
    work = rotation._Work(begun, lambda *_: None)
    work.lookup_known()
    intake.record("pos", [order("c", ("phone", one))])  # still under the old key, read after the change
    work.lookup_used()
    intake.record("pos", [order("d", ("phone", one)), order("e", ("phone", two), ("member", "m"))])
    intake.record("pos", [order("f", ("phone", new))])
    follow()
    work.sealing_used()
    assert people_and_orders() == [(1, 2), (2, 3), (3, 1)]  # the member, the first phone, the new one
    environment.change_secrets(swap)  # a process that has not read the new secrets yet
    intake.record("pos", [order("g", ("phone", one)), order("h", ("phone", new)), order("i", ("phone", "13600000004"))])
    environment.change_secrets(swap)
    intake.record("pos", [order("j", ("phone", "13600000004"))])
    rekeying.rekey(0)
    follow()
    assert people_and_orders() == [(1, 2), (2, 4), (3, 2), (4, 2)]
    rotation.carry_out(begun.pk)
    assert people_and_orders() == [(1, 2), (2, 4), (3, 2), (4, 2)]
    for phone in (one, two, new):
        assert [key for key, _customer in known_as(phone)] == [sealing.lookup_key("phone", phone)]
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from facts_fact f where not exists (select from customers_identity i"
                       " where i.kind = f.subject_kind and i.key = f.subject_key)")  # fmt: skip
        assert cursor.fetchone() == (0,)


def swap(values: dict[str, Any]) -> None:
    values["lookup"], values["lookup_other"] = values["lookup_other"], values["lookup"]


def people_and_orders() -> list[tuple[int, int]]:
    return list(CustomerMetric.objects.order_by("pk").values_list("pk", "orders"))


def test_merged_people_keep_their_evidence_under_the_new_names() -> None:
    who = ("member", "m1"), ("member", "m2"), ("phone", "13800000001")
    intake.record("pos", [order("a", who[0]), order("b", who[1])])
    follow()
    intake.record("pos", [draft("customer.identified", "x", who[0], who[2])])
    intake.record("pos", [draft("customer.identified", "y", who[1], who[2])])
    follow()
    old = sealing.lookup_key("phone", "13800000001")
    assert traces.in_database([old]) != []
    rotate()
    assert traces.in_database([old]) == []
    new = sealing.lookup_key("phone", "13800000001")
    assert any(place.startswith("customers_merge.evidence") for place in traces.in_database([new]))


# dying ----------------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """Nothing in the product catches it, as nothing catches kill -9."""


def test_a_rotation_that_dies_at_any_statement_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    people.make()
    files.store("f.csv", [b"13800000001"])
    phones = [f"1380000{n:04}" for n in range(12)]
    intake.record("pos", [order(f"o{n}", ("phone", phone)) for n, phone in enumerate(phones)])
    follow()
    old = secrets_of_home()
    for module, size in ((rekeying, 5), (resealing, 2), (rotation.facts, 5)):
        monkeypatch.setattr(module, "CHUNK", size)
    real = rotation.change_secrets

    def dies_behind(change: Any) -> Any:
        real(change)
        if next(behind):
            raise Died
        return real(change)

    behind = iter([True, True, True, True, *[False] * 1000])
    monkeypatch.setattr(rotation, "change_secrets", dies_behind)
    begun = rotation.begin(system("test"))
    deaths = 0
    for statements in range(1, 2_000):
        left = [statements]

        def count(execute: Any, *arguments: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Died
            return execute(*arguments)

        try:
            with connection.execute_wrapper(count):
                rotation.carry_out(begun.pk)
            break
        except Died:
            deaths += 1
    assert deaths >= 15
    now = secrets_of_home(fresh=True)
    assert (now.lookup_past, now.lookup_other, len(now.sealing)) == ([old.lookup], "", len(old.sealing) + 1)
    assert rotation.left().nothing
    assert sealed_with(old.sealing_current) == []
    assert [key for (key, _customer) in known_as(phones[7])] == [sealing.lookup_key("phone", phones[7])]
    assert people_and_orders() == [(n, 1) for n in range(1, 13)]
    assert b"".join(files.read(StoredFile.objects.get())) == b"13800000001"
    assert AuditEntry.objects.filter(action="keys.rotated").count() == 1


CHILD = """
import sys, django
django.setup()
from hetang.customers import rekeying
from hetang.facts import rekeying as facts
from hetang.platform import environment
from hetang.privacy import rotation
environment.RELOAD_S = 0.05
rotation.SETTLE_S, rotation.BREATH_S = 0.15, 0.01
rekeying.CHUNK = facts.CHUNK = 10
rotation.carry_out(int(sys.argv[1]))
"""


def test_killed_again_and_again_while_facts_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than two seconds: a real process dies by kill -9 five times, and the streams really follow meanwhile."""
    monkeypatch.setattr(environment, "RELOAD_S", 0.05)
    phones = [f"1380000{n:04}" for n in range(150)]
    sent: dict[str, int] = dict.fromkeys(phones, 0)
    number = iter(range(10**6))

    def send(some: list[str]) -> None:
        for phone in some:
            sent[phone] += 1
        assert not intake.record("pos", [order(f"o{next(number)}", ("phone", phone)) for phone in some]).rejected

    send(phones[:100])
    follow()
    stop = threading.Event()

    def keep_following() -> None:
        while not stop.is_set():
            follow()
            time.sleep(0.01)
        connections.close_all()

    follower = threading.Thread(target=keep_following)
    follower.start()
    begun = rotation.begin(system("test"))
    deaths = 0
    try:
        for turn in range(40):
            child, before = _child(begun.pk), begun.steps
            while child.poll() is None:
                send([phones[(turn * 7 + n * 13) % 150] for n in range(20)])
                time.sleep(0.05)
                begun.refresh_from_db()
                if turn < 5 and begun.steps != before:
                    child.kill()
            if child.wait() == 0:
                break
            deaths += 1
    finally:
        stop.set()
        follower.join()
    follow()
    assert deaths >= 4
    assert rotation.under_way() is None
    environment.secrets_of_home(fresh=True)
    assert rotation.left().nothing
    numbers = {phone: known_as(phone) for phone in phones if sent[phone]}
    assert len(numbers) > 110  # of whom some are new
    for phone, known in numbers.items():
        assert [key for key, _customer in known] == [sealing.lookup_key("phone", phone)], phone
    orders = dict(people_and_orders())
    assert {phone: orders[known[0][1]] for phone, known in numbers.items()} == {one: sent[one] for one in numbers}
    assert len(orders) == len(numbers)


def _child(pk: int) -> subprocess.Popen[bytes]:
    parts = urlsplit(os.environ["HETANG_DATABASE_URL"])
    url = urlunsplit(parts._replace(path="/" + str(connection.settings_dict["NAME"])))
    values = {**os.environ, "HETANG_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(pk)], env=values)


# who may, and what else -----------------------------------------------------------------------------------------------


def test_one_rotation_at_a_time_and_none_while_somebody_is_erased() -> None:
    cast = people.make()
    manager = client_of(cast.manager_a)
    assert manager.get("/privacy/keys/").status_code == 403
    assert manager.post("/privacy/keys/rotate").status_code == 403
    Customer.objects.create(number=1, created_at=AT)
    erasing.order(system("t"), Customer.objects.get(), "asked", objects=False)
    with pytest.raises(PrivacyRefused, match="erasing_first"):
        rotation.begin(system("t"))
    jobs.run_waiting()
    erasing.Erasure.objects.update(state="done")
    officer = client_of(cast.headquarters)
    officer.post("/privacy/keys/rotate")
    assert "rotated already" in officer.post("/privacy/keys/rotate", follow=True).content.decode()
    assert KeyRotation.objects.count() == 1
    assert AuditEntry.objects.get(action="keys.rotation_begun").actor == "headquarters"
    assert actor_for(cast.manager_a).can("privacy:view") is False


def test_the_command_starts_one_and_says_to_export_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert (commands.rotate_keys(), commands.rotate_keys()) == (0, 1)
    said = capsys.readouterr().out
    assert ("export the keys again: hetang keys FILE" in said, "rotated already" in said) == (True, True)
    jobs.run_waiting()
    assert rotation.under_way() is None


def test_newer_keys_open_an_older_backup_and_the_database_says_which_lookup_key_is_its_own() -> None:
    intake.record("pos", [order("a", ("phone", "13800000001"))])
    follow()
    old = keys.of_home(environment.home())
    needed = keys.fingerprints(old)
    rotate()
    new = keys.of_home(environment.home())
    assert keys.missing(needed, new) == []
    assert keys.missing(keys.fingerprints(new), old) != []  # older keys do not open what came later
    # the older database comes back: its identities are under the older key
    Identity.objects.update(key=sealing.lookup_key_by(old["lookup"], "phone", "13800000001"))
    rotation.after_restore(AT + timedelta(days=1))
    assert secrets_of_home(fresh=True).lookup == old["lookup"]
    assert queries.find("13800000001", Customer.objects.all()).exists()
    rotation.after_restore(AT)
    assert secrets_of_home(fresh=True).lookup == old["lookup"]
    Identity.objects.update(key=sealing.lookup_key_by(new["lookup"], "phone", "13800000001"))
    rotation.after_restore(AT)
    assert secrets_of_home(fresh=True).lookup == new["lookup"]


def test_a_file_that_is_read_while_it_is_sealed_anew_reads_on() -> None:
    stored = files.store("f", [b"a" * (2 << 20)])
    stale = StoredFile.objects.get(pk=stored.pk)
    reading = files.read(stored)
    first = next(reading)
    rotate()
    assert first + b"".join(reading) == b"a" * (2 << 20)
    assert b"".join(files.read(stale)) == b"a" * (2 << 20)
    assert len(list((environment.home() / "files").glob("*.sealed"))) == 1
