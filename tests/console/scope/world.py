"""A brand of two regions and a franchisee, with one of everything in each place; names say where a thing belongs.

brand ── region N ── store A          a grant at region N: A is its own, B another's, F another company's,
     │          └── store F (Acme)    and what lies at the brand is above it
     └─ region S ── store B
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from pyroaring import BitMap

from hetang.audiences import pond_days
from hetang.audiences.models import Audience, AudienceSnapshot, AudienceVersion, Pond, PondSet
from hetang.audiences.ponds import Now
from hetang.campaigns.models import Broadcast, Campaign, Picture
from hetang.communities.models import GroupChat
from hetang.connectors.wecom.models import App, Avatar, Corp, GroupWelcome, GroupWelcomeUse, Handover, HandoverItem
from hetang.console.models import SavedView
from hetang.customers.bulk import content_of
from hetang.customers.models import (
    BulkChange,
    Consent,
    Customer,
    CustomerTag,
    Decision,
    DecisionSide,
    HouseholdMember,
    Identity,
    Merge,
    Proposal,
    Relation,
    Tag,
    TagGroup,
)
from hetang.platform import clock, organisation
from hetang.platform.approvals import BULK
from hetang.platform.models import Approval, Brand, Grant, JobRun, OrgNode, OwnRole, Session, StoredFile, User
from hetang.platform.roles import STORE_MANAGER
from hetang.platform.sealing import lookup_key, seal
from hetang.privacy.models import Erasure, Export, PrivacyLink, PrivacyRequest
from hetang.resources.models import Staff, Store
from hetang.touch.models import Plan, Programme
from hetang.touch.rules import Request

IDENTITY, THING = "qqWho", "qqThing"  # marks of what identifies people, and of everything else
NAME = "qqName"  # after the mark of identity, in names of customers alone: no page shows one in full
PHONE = 13_900_000_000
RULE = {"version": 1, "rule": {"all": []}}


@dataclass
class World:
    """The places and the tag that all share."""

    root: OrgNode
    north: OrgNode
    own: SimpleNamespace
    other: SimpleNamespace
    foreign: SimpleNamespace
    above: SimpleNamespace
    tag: Tag
    numbers: dict[str, int] = field(default_factory=dict)


def make() -> World:
    """Everything, in about half a second."""
    Brand.objects.update_or_create(id=1, defaults={"name": "Lotus & Co", "currency": "CNY"})
    root = organisation.root()
    north = organisation.add_node(root, OrgNode.REGION, "north", "North")
    south = organisation.add_node(root, OrgNode.REGION, "south", f"{THING}B south")
    tag = Tag.objects.create(code="coffee", name="Coffee", group=TagGroup.objects.create(name="Taste"))
    OwnRole.objects.create(code="own", name="Own", permissions=["customers:view"], created_at=clock.now())
    places = {
        "A": organisation.add_node(north, OrgNode.STORE, "store-a", f"{THING}A store"),
        "F": organisation.add_node(north, OrgNode.STORE, "store-f", f"{THING}F store"),
        "B": organisation.add_node(south, OrgNode.STORE, "store-b", f"{THING}B store"),
    }
    OrgNode.objects.filter(pk=places["F"].pk).update(legal_entity="Acme")
    made = {letter: _place(letter, OrgNode.objects.get(pk=node.pk), tag) for letter, node in places.items()}
    above = _place("T", root, tag)
    return World(root, north, made["A"], made["B"], made["F"], above, tag)


def _place(letter: str, node: OrgNode, tag: Tag) -> SimpleNamespace:
    """One of everything at a node. At the brand itself nobody is at home."""
    now = clock.now()
    thing = f"{THING}{letter}"
    place = SimpleNamespace(letter=letter, node=node, tag=tag, thing=thing)
    store = Store.objects.create(code=f"s{letter}", name=f"{thing} shop", org_node=node)
    place.store = store
    place.staff = Staff.objects.create(
        userid=f"staff{letter}", name=f"{IDENTITY}{letter} staff", store=store, org_node=node
    )
    place.owner = User.objects.create_user(f"user{letter}", None, display_name=f"{thing} user", created_at=now)
    place.grant = Grant.objects.create(user=place.owner, role=STORE_MANAGER, org_node=node)
    place.session = Session.objects.create(
        key_hash=f"{letter:0>64}", data="", user=place.owner, started_at=now, seen_at=now
    )
    place.group = GroupChat.objects.create(
        chat_id=f"wr{letter}", name=f"{thing} group", owner=place.staff, org_node=node, store=store, told_at=now, size=2
    )
    _people(place)
    _handovers(place)
    _group_welcomes(place)
    _decisions(place)
    _audiences(place)
    _broadcasts(place)
    _papers(place)
    return place


def _people(place: SimpleNamespace) -> None:
    """Five customers at home in the store; the fifth was merged into the first, the last two are kept apart."""
    now, base = clock.now(), 100 * ord(place.letter)
    place.people = [
        Customer.objects.create(
            number=base + n,
            created_at=now,
            home_store=place.store,
            name=seal(f"{IDENTITY}{place.letter}{NAME}".encode()),
            name_at=now,
            name_fact="test\x1fname",
            merged_into_id=base if n == 4 else None,
        )
        for n in range(5)
    ]
    place.customer, place.second = place.people[:2]
    place.phone = str(PHONE + base)
    place.members = [f"{IDENTITY}{place.letter}{n}" for n in range(5)]
    place.identities = [
        Identity.objects.create(
            kind="member", key=key, customer_id=base + n % 4, evidence_number=base + n, first_seen_at=now
        )
        for n, key in enumerate(place.members)
    ]
    Identity.objects.create(
        kind="phone",
        key=lookup_key("phone", place.phone),
        sealed=seal(place.phone.encode()),
        customer=place.customer,
        evidence_number=base,
        first_seen_at=now,
    )
    Identity.objects.create(
        **{"kind": "external_userid", "key": f"wm{place.letter}", "customer": place.customer},
        **{"evidence_number": base, "first_seen_at": now},
    )
    Avatar.objects.create(external_userid=f"wm{place.letter}", state="kept", picture=seal(b"jpeg"), wanted_at=now)
    Consent.objects.create(  # without a legal basis: somebody may state it
        customer=place.customer,
        **{"purpose": "marketing", "channel": "sms", "given": True, "basis": "unknown"},
        **{"occurred_at": now, "fact_key": "test\x1fc", "source": "test"},
    )
    place.household = HouseholdMember.objects.create(
        **{"customer": place.customer, "origin": "test", "member": "1", "kind": "child", "born_on": now.date()},
        **{"name": seal(f"{IDENTITY}{place.letter}child".encode()), "occurred_at": now, "fact_key": "test\x1fh"},
    )
    CustomerTag.objects.create(
        customer=place.customer, tag=place.tag, on=True, occurred_at=now, fact_key="test\x1ft", source="test"
    )
    Relation.objects.create(
        customer=place.customer,
        staff=place.staff,
        external_userid=f"wm{place.letter}",
        state=Relation.ACTIVE,
        since=now,
        occurred_at=now,
        fact_key="test\x1fr",
    )


def _handovers(place: SimpleNamespace) -> None:
    """One that is prepared, one that was stopped, and one that could not be prepared."""
    corp, _ = Corp.objects.get_or_create(corpid="ww0", defaults={"created_at": clock.now()})
    values: dict[str, Any] = {"corp": corp, "giver": place.staff, "org_node": place.node, "kind": "on_job"}
    values |= {"rule": "one", "actor": place.thing, "created_at": clock.now()}
    place.handover = Handover.objects.create(**values)
    place.handing_over = Handover.objects.create(**values, state=Handover.RUNNING)
    place.unprepared = Handover.objects.create(**values, state=Handover.REFUSED, problem="unreachable")
    for one in (place.handover, place.handing_over):
        HandoverItem.objects.create(handover=one, corp=corp, kind="customer", key=f"wm{place.letter}")


def _group_welcomes(place: SimpleNamespace) -> None:
    """The place's group should greet with a welcome of the brand."""
    corp = Corp.objects.get(corpid="ww0")
    app, _ = App.objects.get_or_create(corp=corp, agentid=1, defaults={"secret": seal(b"x"), "changed_at": clock.now()})
    welcome, _ = GroupWelcome.objects.get_or_create(app=app, name="Hello", defaults={"changed_at": clock.now()})
    GroupWelcomeUse.objects.create(welcome=welcome, group=place.group)


def _decisions(place: SimpleNamespace) -> None:
    now = clock.now()
    ids = [one.pk for one in place.identities]
    place.proposal = Proposal.objects.create(
        one=place.customer, other=place.second, grounds=["name_store"], weight=1, proposed_at=now
    )
    place.decided = Proposal.objects.create(
        **{"one": place.people[2], "other": place.people[3], "grounds": ["name_store"], "weight": 1},
        **{"proposed_at": now, "state": Proposal.DECIDED, "verdict": Decision.APART, "rounds": 1},
    )
    place.merge = Merge.objects.create(
        survivor=place.customer.pk,
        absorbed=place.people[4].pk,
        at=now,
        evidence_source="test",
        evidence_key="k",
        evidence=[["member", "x"], ["member", "y"]],
        survivor_side=ids[:1],
        absorbed_side=ids[4:],
    )
    key = f"console\x1freview:{place.decided.pk}:1"
    place.decision = Decision.objects.create(key=key, verdict=Decision.APART, made_at=now, made_by="x")
    for side in (0, 1):
        DecisionSide.objects.create(decision=place.decision, identity_id=ids[2 + side], side=side)


def _audiences(place: SimpleNamespace) -> None:
    now = clock.now()
    values: dict[str, Any] = {"rule": RULE, "org_node": place.node, "created_at": now, "updated_at": now}
    place.audience = Audience.objects.create(name=f"{place.thing} audience", **values)
    place.archived = Audience.objects.create(name=f"{place.thing} archived", archived_at=now, **values)
    AudienceVersion.objects.create(audience=place.audience, version=1, rule=RULE, at=now)
    members = BitMap([place.customer.pk]).serialize()
    AudienceSnapshot.objects.create(
        audience=place.audience, sequence=1, version=1, at=now, count=1, members=members, entered=1, left=0
    )
    at: dict[str, Any] = {"org_node": place.node, "created_at": now, "updated_at": now}
    place.pond_set = PondSet.objects.create(name=f"{place.thing} ponds", **at)
    place.archived_ponds = PondSet.objects.create(name=f"{place.thing} old ponds", archived_at=now, **at)
    place.pond = Pond.objects.create(
        pond_set=place.pond_set, name=f"{place.thing} pond", audience=place.audience, position=0
    )
    own = Audience.objects.create(name=f"{place.thing} ruled", pond_set=place.pond_set, **values)
    place.ruled_pond = Pond.objects.create(pond_set=place.pond_set, name=own.name, audience=own, position=1)
    pond_days._keep(
        place.pond_set, now.date(), [place.pond], Now(1, [], [], [], [BitMap([place.customer.pk]), BitMap()])
    )


def _broadcasts(place: SimpleNamespace) -> None:
    now, today = clock.now(), clock.today()
    place.campaign = Campaign.objects.create(
        **{"name": f"{place.thing} campaign", "starts_on": today, "ends_on": today + timedelta(days=9)},
        **{"org_node": place.node, "created_at": now, "owner": place.owner},
    )
    values: dict[str, Any] = {
        **{"campaign": place.campaign, "audience": place.audience, "target_url": "https://example.cn/"},
        **{"variants": [{"text": f"{place.thing} text", "weight": 1, "attachments": []}]},
        **{"created_at": now, "updated_at": now, "created_by": place.owner},
    }
    place.broadcast = Broadcast.objects.create(name=f"{place.thing} draft", **values)
    programme = Programme.objects.create(
        **{"name": f"{place.thing} sent", "campaign_id": place.campaign.pk, "org_node": place.node},
        **{"channel": "wecom", "state": Programme.RUNNING, "slot_at": now, "planned_at": now},
        expires_at=now + timedelta(days=3),
    )
    place.sent = Broadcast.objects.create(name=f"{place.thing} sent", programme=programme, **values)
    place.programme = programme
    members = BitMap([place.customer.pk]).serialize()
    parameters = Request("wecom", "marketing", now, "x").as_json()
    Plan.objects.create(programme=programme, parameters=parameters, members=members, people=1, state=Plan.DONE, at=now)
    place.picture = Picture.objects.create(
        **{"org_node": place.node, "channel": "wecom", "address": "https://p", "name": f"{place.thing}", "kind": "jpg"},
        **{"width": 1, "height": 1, "thumbnail": f"{place.thing}".encode(), "file": _file(place), "created_at": now},
    )


def _file(place: SimpleNamespace) -> StoredFile:
    name = f"none/{place.letter}{StoredFile.objects.count()}"
    return StoredFile.objects.create(name="p", path=name, bytes=1, sha256="0" * 64, created_at=clock.now())


def _papers(place: SimpleNamespace) -> None:
    """A change to many, a question, a job, an export."""
    now = clock.now()
    members = BitMap([place.customer.pk]).serialize()
    values: dict[str, Any] = {
        **{"kind": BulkChange.TAG_OFF, "tag": place.tag, "org_node": place.node, "members": members, "people": 1},
        **{"user": place.owner, "actor": place.thing, "created_at": now, "untouched": BitMap().serialize()},
    }
    place.bulk = BulkChange.objects.create(**values)
    place.bulk_done = BulkChange.objects.create(state=BulkChange.DONE, changed=1, started_at=now, **values)
    place.bulk_running = BulkChange.objects.create(state=BulkChange.RUNNING, started_at=now, **values)
    place.approval = Approval.objects.create(
        **{"kind": BULK, "target_id": str(place.bulk.public_id), "title": f"{place.thing} question"},
        **{
            "org_node": place.node,
            "content_hash": "0" * 64,
            "content": content_of(place.bulk),
            "size": 1,
            "asked_by": place.owner,
        },
        **{"asked_at": now, "involved": [place.owner.pk], "expires_at": now + timedelta(days=1)},
    )
    place.job = JobRun.objects.create(
        kind="test", title=f"{place.thing} job", created_at=now, created_by=place.owner, state=JobRun.RUNNING
    )
    paper: dict[str, Any] = {
        **{"kind": "customers", "title": f"{place.thing} export", "personal": True, "purpose": "service"},
        **{"language": "en", "user": place.owner, "actor": place.thing, "org_node": place.node, "asked_at": now},
    }
    place.export = Export.objects.create(
        size=1, state=Export.READY, file=_file(place), expires_at=now + timedelta(days=1), **paper
    )
    place.export_waiting = Export.objects.create(size=1, state=Export.WAITING, **paper)
    hers = {"customer": place.customer.pk, "customer_id_shown": place.customer.public_id}
    PrivacyLink.objects.create(made_at=now, expires_at=clock.wall() + timedelta(days=1), **hers)
    customer = hers | {"asked_at": now}
    place.request = PrivacyRequest.objects.create(kind="erase", came_by="staff", due_at=now, **customer)
    place.erasure = Erasure.objects.create(
        **customer, ordered_at=now, reason="asked", state=Erasure.DONE, objects_to_return=False, ordered_by=place.owner
    )
    place.view = SavedView.objects.create(
        list="customers", name=place.thing, owner=place.owner, created_at=now, columns=[]
    )
