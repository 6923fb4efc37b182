"""Eve, who is everywhere: in the log, the raw intake, held records, orders, sets, plans, files, callbacks. Bo stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.audiences.services import _write
from hetang.customers.models import Customer, TagGroup
from hetang.customers.services import create_tag
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import clock
from hetang.platform.sealing import lookup_key, seal
from hetang.touch import planning
from tests.console.cast import Cast
from tests.imports.files import csv_bytes, imported
from tests.touch import world

MEMBER, PHONE, MAIL, EXTERNAL = "MEMBER-77183", "13798765432", "eve@xyzzy.example", "wmEVE0001"
CARD, NAME, TOWN = "CARD-55120", "欧阳晓蕾", "Xyzzyville"
VALUES = (MEMBER, PHONE, "137-9876-5432", "137 9876 5432", MAIL, EXTERNAL, CARD, NAME, TOWN, lookup_key("phone", PHONE))
BO = "BO-1"
START = datetime(2026, 1, 5, 3, tzinfo=UTC)


def come_in(cast: Cast) -> int:
    """Everything that can happen with somebody; returns Eve's number. Under the console's cast of stores and staff."""
    clock.freeze(world.NOW)
    create_tag(TagGroup.objects.create(name="Taste"), "Likes coffee", "coffee")
    _through_the_api()
    _from_inside()
    _by_file()
    run_until_idle()
    number = number_of(MEMBER)
    _callbacks(cast)
    _in_sets(number)
    _in_plans(number)
    run_until_idle()
    return number


def number_of(member: str) -> int:
    return Customer.objects.get(identities__kind="member", identities__key=member).pk


def fact(kind: str, key: str, member: str = MEMBER, **body: Any) -> Draft:
    return Draft(kind, key, START, [("member", member)], body)


def order(key: str, member: str, net: int) -> Draft:
    return fact(
        "order.placed", key, member, store="A", lines=[{"sku": "S1", "category": "MILK", "amount": net}], net=net
    )


def _through_the_api() -> None:
    """One batch with Eve and Bo in it, with a malformed fact of hers; the phone in a form of its own."""
    eve = [{"kind": "member", "value": MEMBER}, {"kind": "phone", "value": "+86 137-9876-5432"}]
    at = START.isoformat()
    facts = [
        {
            "kind": "customer.described",
            "key": f"crm:{MEMBER}",
            "occurred_at": at,
            "who": eve,
            "name": NAME,
            "body": {"attributes": {"town": TOWN}, "home_store": "A", "owner": "anna"},
        },
        {"kind": "customer.described", "key": "crm:bo", "occurred_at": at, "who": [{"kind": "member", "value": BO}]},
        {"kind": "visit.recorded", "key": "bad", "occurred_at": at, "who": eve, "body": {"store": 7}},
        {"kind": "visit.recorded", "key": "worse", "occurred_at": at, "who": MEMBER, "body": {}},
    ]
    outcome = intake.receive(json.dumps({"source": "crm", "facts": facts}).encode())
    assert (outcome.accepted, len(outcome.rejected)) == (2, 2)


def _from_inside() -> None:
    eve = ("member", MEMBER)
    drafts = [
        Draft("customer.identified", "same", START, [eve, ("email", MAIL), ("card", CARD)], {}),
        Draft(
            "relation.changed",
            "friend",
            START,
            [("external_userid", EXTERNAL), eve],
            {"staff": "anna", "state": "active"},
        ),
        fact("tag.changed", f"tag:{MEMBER}", tag="coffee", on=True),
        fact("tag.changed", "tag:unknown", tag="nobody-knows-it", on=True),  # the stream holds it
        fact("consent.changed", "c1", purpose="marketing", channel="wecom", given=True, basis="consent"),
        fact("do_not_disturb.changed", "d1", on=False),
        order("o1", MEMBER, 1290),
        order("o2", MEMBER, 2500),
        fact("order.refunded", "r2", order="o2", amount=500, store="A"),
        fact("visit.recorded", f"visit:{MEMBER}", store="A"),
        order("o3", BO, 990),
        Draft(
            "relation.changed",
            "bofriend",
            START,
            [("external_userid", "wmBO"), ("member", BO)],
            {"staff": "anna", "state": "active"},
        ),
        fact("consent.changed", "c2", BO, purpose="marketing", channel="wecom", given=True, basis="consent"),
    ]
    assert not intake.record("pos", drafts).rejected


def _by_file() -> None:
    header = ["member_id", "phone", "name"]
    imported("customers", csv_bytes([header, [MEMBER, "137 9876 5432", NAME], [BO, "", "Bo"]]), "both.csv")
    imported("customers", csv_bytes([header, [BO, "", "Bo"]]), "bo.csv")


def _callbacks(cast: Cast) -> None:
    from hetang.connectors.wecom.models import App, CallbackMessage, Corp, RefusedRecipient

    corp = Corp.objects.create(corpid="ww1", created_at=START)
    app = App.objects.create(corp=corp, agentid=1, secret=seal(b"x"), changed_at=START)
    body = f"<xml><ExternalUserID>{EXTERNAL}</ExternalUserID></xml>".encode()
    CallbackMessage.objects.create(app=app, dedupe_key="k", received_at=clock.now(), body=seal(body), state="applied")
    intake.store_raw("wecom", body, "callback")
    RefusedRecipient.objects.create(msgid="m", external_userid=EXTERNAL)


def _in_sets(number: int) -> None:
    """Four snapshots of an audience: nobody, both, Bo alone, both."""
    from hetang.platform import organisation

    audience = Audience.objects.create(
        name="All", rule={"all": []}, org_node=organisation.root(), created_at=START, updated_at=START
    )
    bo = number_of(BO)
    newest, before = None, BitMap()
    for members in (BitMap(), BitMap([number, bo]), BitMap([bo]), BitMap([number, bo])):
        newest, before = _write(audience, newest, before, members, clock.now()), members
    Audience.objects.filter(pk=audience.pk).update(count=2)
    assert AudienceSnapshot.objects.count() == 4


def _in_plans(number: int) -> None:
    """One programme that sends to both, one that holds both out, a dry run."""
    members = BitMap([number, number_of(BO)]).serialize()
    for control in (0, 10_000):
        asked = world.request(control_bp=control)
        planning.run(planning.begin(members, asked, world.programme(asked)))
    planning.run(planning.begin(members, world.request()))
