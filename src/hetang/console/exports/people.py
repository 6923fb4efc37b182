"""Exports of customers: those of a list, those of an audience, everything about one.

Three functions a kind: `choose_…` takes the parameters from the address, `about_…` says what will leave before it does,
`sheet_of_…` makes the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from pyroaring import BitMap

from hetang.audiences import past
from hetang.audiences import queries as audiences
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.console.copies.writing import Writer
from hetang.console.customers import lists
from hetang.console.exports.pieces import day, moment, one_of
from hetang.console.figures import number
from hetang.console.paging import Page
from hetang.console.templatetags.hetang import staff_title
from hetang.customers import queries as customers
from hetang.customers.models import Customer, Tag
from hetang.platform import clock
from hetang.platform.access import Actor, own_customers
from hetang.platform.brand import brand
from hetang.platform.money import to_major
from hetang.privacy import copies
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import About, Parameters, Sheet
from hetang.resources.models import Staff, Store

EXPORT = "customers:export"
_CHUNK = 500  # customers read at once: half a dozen queries


# customers ------------------------------------------------------------------------------------------------------------


def choose_customers(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The filters of the list; never its search field, which may hold a phone number."""
    return {name: given[name] for name in ("store", "owner", "tag") if given.get(name)}


def _chosen_customers(actor: Actor, chosen: Parameters) -> QuerySet[Customer]:
    return customers.listed(own_customers(actor, EXPORT), **chosen, now=clock.now())


def about_customers(actor: Actor, chosen: Parameters) -> About:
    nodes = actor.scope(EXPORT).org_nodes()
    named = {
        "store": (_("Home store"), Store.objects.filter(code=chosen.get("store", ""), org_node__in=nodes)),
        "owner": (staff_title(), Staff.objects.filter(userid=chosen.get("owner", ""), org_node__in=nodes)),
        "tag": (_("Tag"), Tag.objects.filter(code=chosen.get("tag", ""))),
    }
    lines = []
    for name, (label, rows) in named.items():
        if name in chosen:
            lines.append((label, rows.values_list("name", flat=True).first() or chosen[name]))
    lines = lines or [(_("Filter"), _("none: all customers whom you may export"))]
    return About(_("Customers"), lines, _chosen_customers(actor, chosen))


def sheet_of_customers(actor: Actor, chosen: Parameters) -> Sheet:
    people = BitMap()
    return Sheet(_people_header(), _people(actor, by_number(_chosen_customers(actor, chosen)), people), people)


def by_number(rows: QuerySet[Customer]) -> Iterator[list[Customer]]:
    last: int | None = None
    while chunk := list((rows if last is None else rows.filter(number__lt=last)).order_by("-number")[:_CHUNK]):
        last = chunk[-1].number
        yield chunk


def _people_header() -> list[str]:
    return [
        _("Customer id"),
        _("Name (masked)"),
        _("Known by (masked)"),
        _("Home store"),
        staff_title(),
        _("Tags"),
        _("Orders"),
        _("Net sales"),
        _("First order"),
        _("Last order"),
        _("Known since"),
    ]


def _people(actor: Actor, chunks: Iterator[list[Customer]], people: BitMap) -> Iterator[list[Any]]:
    digits = brand().currency_digits
    for chunk in chunks:
        people.update([one.number for one in chunk])
        for row in lists.rows(Page(chunk), actor):
            one, sums = row.customer, row.sums
            yield [
                one.public_id,
                row.name,
                row.known_by,
                one.home_store.name if one.home_store else "",
                one.owner.name if one.owner else "",
                "、".join(row.tags),
                sums.orders if sums else 0,
                to_major(sums.gmv if sums else 0, digits),
                day(sums.first_order_at if sums else None),
                day(sums.last_order_at if sums else None),
                day(one.created_at),
            ]


# an audience ----------------------------------------------------------------------------------------------------------


def choose_audience(actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The snapshot with the number `snapshot`, or the one that is the newest now: what is approved is what leaves,
    though the audience is refreshed meanwhile. Raises PrivacyRefused: thing_gone."""
    audience = one_of(audiences.visible(actor.scope("audiences:view")), given.get("audience", ""))
    sequence = given.get("snapshot", "")
    if sequence.isdecimal() and len(sequence) < 10:
        return {"audience": str(audience.public_id), "snapshot": int(sequence)}
    snapshots = AudienceSnapshot.objects.filter(audience=audience).order_by("-sequence")
    newest = snapshots.values_list("sequence", flat=True).first()
    return {"audience": str(audience.public_id), **({} if newest is None else {"snapshot": newest})}


def _snapshot(actor: Actor, chosen: Parameters) -> tuple[Audience, AudienceSnapshot]:
    """The audience with the snapshot that is meant. Raises PrivacyRefused: thing_gone, no_snapshot."""
    audience: Audience = one_of(audiences.visible(actor.scope("audiences:view")), chosen["audience"])
    snapshots = AudienceSnapshot.objects.filter(audience=audience)
    if "snapshot" in chosen:
        snapshots = snapshots.filter(sequence=chosen["snapshot"])
    snapshot = snapshots.order_by("-sequence").first()
    if snapshot is None:
        raise PrivacyRefused("no_snapshot")
    return audience, snapshot


def about_audience(actor: Actor, chosen: Parameters) -> About:
    audience, snapshot = _snapshot(actor, chosen)
    lines = [
        (_("Audience"), audience.name),
        (_("Snapshot of"), moment(snapshot.at)),
        (_("People in it"), number(snapshot.count)),
    ]
    count = sum(len(chunk) for chunk in _members(actor, snapshot))
    return About(_("Audience “%(name)s”") % {"name": audience.name}, lines, count)


def sheet_of_audience(actor: Actor, chosen: Parameters) -> Sheet:
    people = BitMap()
    rows = _people(actor, _members(actor, _snapshot(actor, chosen)[1], whole=True), people)
    return Sheet(_people_header(), rows, people)


def _members(actor: Actor, snapshot: AudienceSnapshot, *, whole: bool = False) -> Iterator[list[Any]]:
    """Those of a snapshot whom the actor may export, in chunks: customers if `whole`, else their numbers."""
    members = past.members_of(snapshot).to_array()
    size = _CHUNK if whole else 50_000
    for start in range(0, len(members), size):
        rows = own_customers(actor, EXPORT).filter(pk__in=members[start : start + size].tolist())
        if whole:
            yield list(rows.select_related("home_store", "owner").order_by("number"))
        else:
            yield list(rows.values_list("pk", flat=True))


# everything about one person ------------------------------------------------------------------------------------------


def choose_person(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"customer": given.get("customer", "")}


def _person(actor: Actor, chosen: Parameters) -> Customer:
    found: Customer = one_of(own_customers(actor, "customers:erase"), chosen["customer"])
    return found


def about_person(actor: Actor, chosen: Parameters) -> About:
    customer = _person(actor, chosen)
    lines = [(_("Customer"), str(customer.public_id)), (_("Personal values"), _("in full, to be handed to her"))]
    return About(_("All that is held about one customer"), lines, 1)


def sheet_of_person(actor: Actor, chosen: Parameters) -> Sheet:
    customer = _person(actor, chosen)
    header = [_("Part"), _("Record"), _("Field"), _("Value")]
    return Sheet(header, _parts(actor, customer), BitMap([customer.number]))


def _parts(actor: Actor, customer: Customer) -> Iterator[list[Any]]:
    """As she reads it; a record without other fields has a row of its own."""
    parts = copies.copy_of(customer, actor)
    writer = Writer(parts)
    for part in parts:
        if part.data is None:
            yield [part.label, "", "", _("This part cannot be read at the moment. Try again later.")]
            continue
        for section in writer.sections(part):
            for entry in section.entries:
                record = ": ".join(one for one in (section.title, entry.title) if one)
                for label, value in entry.lines or (("", ""),):
                    yield [part.label, record, label, value]
