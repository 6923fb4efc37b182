"""What can be exported from the console. Every download of rows is declared here and leaves by `privacy.exports`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pyroaring import BitMap

from hetang.audiences import queries as audiences
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.console.audit import views as audit_page
from hetang.console.audit import wording
from hetang.console.customers import lists, words
from hetang.console.figures import number
from hetang.console.insights import board_page, report_page
from hetang.console.paging import Page
from hetang.console.templatetags.hetang import staff_title
from hetang.customers import queries as customers
from hetang.customers.models import Consent, Customer, Tag
from hetang.customers.wording import channel_word, purpose_word
from hetang.imports import messages as import_messages
from hetang.imports import queries as imports
from hetang.imports.models import Import
from hetang.insights.errors import HistoryUnavailable
from hetang.insights.queries import board
from hetang.insights.reports import broadcast_report, reported
from hetang.platform import approvals, clock
from hetang.platform.access import Actor, own_customers
from hetang.platform.brand import brand
from hetang.platform.money import to_major
from hetang.privacy import copies, exports
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import About, ExportKind, Parameters, Sheet
from hetang.resources.models import Staff, Store
from hetang.touch.models import Programme

EXPORT = "customers:export"
_CHUNK = 500  # customers read at once: half a dozen queries


# customers ------------------------------------------------------------------------------------------------------------


def _choose_customers(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The filters of the list; never its search field, which may hold a phone number."""
    return {name: given[name] for name in ("store", "owner", "tag") if given.get(name)}


def _chosen_customers(actor: Actor, chosen: Parameters) -> QuerySet[Customer]:
    return customers.listed(own_customers(actor, EXPORT), **chosen, now=clock.now())


def _about_customers(actor: Actor, chosen: Parameters) -> About:
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
    return About(_("Customers"), lines, _chosen_customers(actor, chosen).count())


def _sheet_of_customers(actor: Actor, chosen: Parameters) -> Sheet:
    people = BitMap()
    return Sheet(_people_header(), _people(actor, _by_number(_chosen_customers(actor, chosen)), people), people)


def _by_number(rows: QuerySet[Customer]) -> Iterator[list[Customer]]:
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
                _day(sums.first_order_at if sums else None),
                _day(sums.last_order_at if sums else None),
                _day(one.created_at),
            ]


def _moment(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")


def _day(at: Any) -> str:
    return timezone.localtime(at).date().isoformat() if at else ""


# an audience ----------------------------------------------------------------------------------------------------------


def _choose_audience(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"audience": given.get("audience", "")}


def _newest(actor: Actor, chosen: Parameters) -> tuple[Audience, AudienceSnapshot]:
    """The audience with its newest snapshot. Raises PrivacyRefused: thing_gone, no_snapshot."""
    audience: Audience = _one(audiences.visible(actor.scope("audiences:view")), chosen["audience"])
    snapshot = AudienceSnapshot.objects.filter(audience=audience).order_by("-sequence").first()
    if snapshot is None:
        raise PrivacyRefused("no_snapshot")
    return audience, snapshot


def _about_audience(actor: Actor, chosen: Parameters) -> About:
    audience, snapshot = _newest(actor, chosen)
    lines = [
        (_("Audience"), audience.name),
        (_("Snapshot of"), _moment(snapshot.at)),
        (_("People in it"), number(snapshot.count)),
    ]
    count = sum(len(chunk) for chunk in _members(actor, snapshot))
    return About(_("Audience “%(name)s”") % {"name": audience.name}, lines, count)


def _sheet_of_audience(actor: Actor, chosen: Parameters) -> Sheet:
    people = BitMap()
    rows = _people(actor, _members(actor, _newest(actor, chosen)[1], whole=True), people)
    return Sheet(_people_header(), rows, people)


def _members(actor: Actor, snapshot: AudienceSnapshot, *, whole: bool = False) -> Iterator[list[Any]]:
    """Those of a snapshot whom the actor may export, in chunks: customers if `whole`, else their numbers."""
    members = BitMap.deserialize(bytes(snapshot.members)).to_array()
    size = _CHUNK if whole else 50_000
    for start in range(0, len(members), size):
        rows = own_customers(actor, EXPORT).filter(pk__in=members[start : start + size].tolist())
        if whole:
            yield list(rows.select_related("home_store", "owner").order_by("number"))
        else:
            yield list(rows.values_list("pk", flat=True))


# the registers --------------------------------------------------------------------------------------------------------


def _choose_consents(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {name: given[name] for name in ("purpose", "channel") if given.get(name)}


def _consents(actor: Actor, chosen: Parameters) -> QuerySet[Consent]:
    return Consent.objects.filter(**chosen, customer__in=own_customers(actor, "privacy:view").values("pk"))


def _about_consents(actor: Actor, chosen: Parameters) -> About:
    labels = {"purpose": (_("Purpose"), purpose_word), "channel": (_("Channel"), channel_word)}
    lines = [(labels[name][0], str(labels[name][1](value))) for name, value in chosen.items()]
    return About(_("Consents"), lines or [(_("Filter"), _("none: all consents"))], _consents(actor, chosen).count())


def _sheet_of_consents(actor: Actor, chosen: Parameters) -> Sheet:
    people = BitMap()
    header = [
        _("Customer id"),
        _("Name (masked)"),
        _("Known by (masked)"),
        _("Purpose"),
        _("Channel"),
        _("Given"),
        _("Legal basis"),
        _("Version of the text"),
        _("Said on"),
        _("Source"),
    ]
    return Sheet(header, _said(actor, chosen, people), people)


def _said(actor: Actor, chosen: Parameters, people: BitMap) -> Iterator[list[Any]]:
    """Person by person; those without a word on it are passed over."""
    for chunk in _by_number(own_customers(actor, "privacy:view").select_related("home_store", "owner")):
        said: dict[int, list[Consent]] = defaultdict(list)
        for one in Consent.objects.filter(**chosen, customer__in=chunk).order_by("purpose", "channel"):
            said[one.customer_id].append(one)
        known = [customer for customer in chunk if customer.number in said]
        people.update([customer.number for customer in known])
        for row in lists.rows(Page(known), actor) if known else []:
            for one in said[row.customer.number]:
                yield [
                    row.customer.public_id,
                    row.name,
                    row.known_by,
                    purpose_word(one.purpose),
                    channel_word(one.channel),
                    _("yes") if one.given else _("no"),
                    str(words.BASES.get(one.basis, one.basis)),
                    one.text_version,
                    _moment(one.occurred_at),
                    one.source,
                ]


def _choose_all(_actor: Actor, _given: Mapping[str, str]) -> Parameters:
    return {}


def _about_register(actor: Actor, _chosen: Parameters) -> About:
    return About(_("Register of exports"), [(_("Filter"), _("none: all entries"))], exports.seen_by(actor).count())


def _sheet_of_register(actor: Actor, _chosen: Parameters) -> Sheet:
    header = [
        _("Register number"),
        _("What is exported"),
        _("Purpose"),
        _("In a few words"),
        _("Who"),
        _("Asked for"),
        _("Rows"),
        _("State"),
        _("Downloads"),
    ]
    return Sheet(header, _entries_of_register(actor))


def _entries_of_register(actor: Actor) -> Iterator[list[Any]]:
    rows = exports.seen_by(actor).defer("people").order_by("-id")
    for one in rows.iterator(chunk_size=1000):
        purpose = exports.PURPOSES.get(one.purpose, one.purpose)
        count = one.size if one.rows is None else one.rows
        asked = _moment(one.asked_at)
        yield [one.number, one.title, purpose, one.note, one.actor, asked, count, one.state, one.downloads]


# everything about one person ------------------------------------------------------------------------------------------


def _choose_person(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"customer": given.get("customer", "")}


def _person(actor: Actor, chosen: Parameters) -> Customer:
    found: Customer = _one(own_customers(actor, "customers:erase"), chosen["customer"])
    return found


def _about_person(actor: Actor, chosen: Parameters) -> About:
    customer = _person(actor, chosen)
    lines = [(_("Customer"), str(customer.public_id)), (_("Personal values"), _("in full, to be handed to her"))]
    return About(_("All that is held about one customer"), lines, 1)


def _sheet_of_person(actor: Actor, chosen: Parameters) -> Sheet:
    customer = _person(actor, chosen)
    return Sheet([_("Part"), _("Field"), _("Value")], _parts(actor, customer), BitMap([customer.number]))


def _parts(actor: Actor, customer: Customer) -> Iterator[list[Any]]:
    for part in copies.copy_of(customer, actor):
        if part.data is None:
            yield [part.label, "", _("This part cannot be read at the moment. Try again later.")]
        for where, what in copies.lines(part.data):
            yield [part.label, where, what]


# the audit log --------------------------------------------------------------------------------------------------------


def _choose_audit(actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The filters of the log; who was looked for becomes her opaque id."""
    chosen = {name: given[name] for name in audit_page.TABLE.filters if given.get(name)}
    if person := given.get("person", "").strip():
        chosen["people"] = ",".join(audit_page.public_ids(actor, person))
    return chosen


def _chosen_audit(actor: Actor, chosen: Parameters) -> QuerySet[Any]:
    found = audit_page.chosen(actor, chosen)
    if found.problem:
        raise PrivacyRefused("nothing_to_export")
    rows = found.rows
    if "people" in chosen:
        rows = rows.filter(target_type="customer", target_id__in=chosen["people"].split(","))
    return rows


def _about_audit(actor: Actor, chosen: Parameters) -> About:
    labels = {
        "kind": _("Show"),
        "actor": _("Who"),
        "action": _("Action"),
        "target": _("Object"),
        "number": _("Its number"),
        "people": _("Customer"),
        "from": _("Days from"),
        "to": _("Days to"),
    }
    said = {"action": wording.action_label, "target": wording.target_label}
    lines = [(labels[name], said.get(name, str)(value)) for name, value in chosen.items() if name in labels]
    lines = lines or [(_("Filter"), _("none: the whole log"))]
    return About(_("Audit log"), lines, _chosen_audit(actor, chosen).count())


def _sheet_of_audit(actor: Actor, chosen: Parameters) -> Sheet:
    header = [_("Time"), _("Who"), _("Action"), _("Object"), _("Number"), _("Changes"), _("Address")]
    return Sheet(header, _entries(_chosen_audit(actor, chosen)))


def _entries(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    for row in rows.order_by("-at", "-id").iterator(chunk_size=2000):
        at = timezone.localtime(row.at).isoformat(timespec="seconds")
        yield [at, row.actor, row.action, row.target_type, row.target_id, row.changes, row.address or ""]


# figures --------------------------------------------------------------------------------------------------------------


def _choose_board(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The days themselves: “last week” would be another one when the file is made."""
    comparison, _mistake = board_page.chosen(given)
    before, after = comparison.before, comparison.after
    days = {"from": after.first, "to": after.last, "before_from": before.first, "before_to": before.last}
    return {name: day.isoformat() for name, day in days.items()}


def _about_board(_actor: Actor, chosen: Parameters) -> About:
    comparison, _mistake = board_page.chosen(chosen)
    spans = ((_("Period"), comparison.after), (_("Compared with"), comparison.before))
    return About(_("GMV board"), [(label, f"{span.first} – {span.last}") for label, span in spans])


def _sheet_of_board(actor: Actor, chosen: Parameters) -> Sheet:
    comparison, _mistake = board_page.chosen(chosen)
    try:
        found = board(comparison, actor.scope("board:view"))
    except HistoryUnavailable as away:
        raise PrivacyRefused("history_away") from away
    return Sheet(board_page.header(), board_page.rows(found))


def _choose_report(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"report": given.get("report", "")}


def _programme(actor: Actor, chosen: Parameters) -> Programme:
    found: Programme = _one(reported(actor.scope("reports:view")), chosen["report"])
    return found


def _about_report(actor: Actor, chosen: Parameters) -> About:
    programme = _programme(actor, chosen)
    title = _("Report of “%(name)s”") % {"name": programme.name}
    return About(title, [(_("Broadcast"), programme.name), (_("Planned for"), _moment(programme.slot_at))])


def _sheet_of_report(actor: Actor, chosen: Parameters) -> Sheet:
    found = broadcast_report(_programme(actor, chosen), actor.scope("reports:view"))
    return Sheet(report_page.header(), report_page.rows(found))


# rows that an import refused ------------------------------------------------------------------------------------------


def _choose_problems(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"import": given.get("import", ""), "stage": "run" if given.get("stage") == "run" else "check"}


def _about_problems(_actor: Actor, chosen: Parameters) -> About:
    owner: Import = _one(Import.objects.all(), chosen["import"])
    title = _("Rows not taken of “%(name)s”") % {"name": owner.title}
    return About(title, [(_("File"), owner.title), (_("Personal values"), _("masked"))])


def _sheet_of_problems(_actor: Actor, chosen: Parameters) -> Sheet:
    owner: Import = _one(Import.objects.all(), chosen["import"])
    header = [str(heading) for heading in import_messages.PROBLEM_HEADINGS]
    return Sheet(header, imports.problem_rows(owner, chosen["stage"]))


def _one(rows: QuerySet[Any], public_id: str) -> Any:
    """The row of a public id among those that the actor may see. Raises PrivacyRefused("thing_gone")."""
    try:
        found: Model | None = rows.filter(public_id=UUID(public_id)).first()
    except (ValueError, ValidationError):
        found = None
    if found is None:
        raise PrivacyRefused("thing_gone")
    return found


_CUSTOMERS = ExportKind(
    "customers",
    gettext_lazy("Customers"),
    EXPORT,
    True,
    _choose_customers,
    _about_customers,
    _sheet_of_customers,
    approvals.EXPORT,
)
KINDS = [
    _CUSTOMERS,
    replace(
        _CUSTOMERS,
        code="audience",
        label=gettext_lazy("Audience"),
        choose=_choose_audience,
        about=_about_audience,
        sheet=_sheet_of_audience,
    ),
    ExportKind(
        "audit",
        gettext_lazy("Audit log"),
        "audit:view",
        True,
        _choose_audit,
        _about_audit,
        _sheet_of_audit,
        approvals.AUDIT_EXPORT,
    ),
    ExportKind("board", gettext_lazy("GMV board"), "board:view", False, _choose_board, _about_board, _sheet_of_board),
    ExportKind(
        "report",
        gettext_lazy("Broadcast report"),
        "reports:view",
        False,
        _choose_report,
        _about_report,
        _sheet_of_report,
    ),
    ExportKind(
        "import-problems",
        gettext_lazy("Rows that an import did not take"),
        "imports:run",
        False,
        _choose_problems,
        _about_problems,
        _sheet_of_problems,
    ),
    ExportKind(
        "consents",
        gettext_lazy("Consents"),
        "privacy:view",
        True,
        _choose_consents,
        _about_consents,
        _sheet_of_consents,
        approvals.REGISTER_EXPORT,
    ),
    ExportKind(
        "exports",
        gettext_lazy("Register of exports"),
        "privacy:view",
        False,
        _choose_all,
        _about_register,
        _sheet_of_register,
        approvals.REGISTER_EXPORT,
    ),
    ExportKind(
        "person",
        gettext_lazy("All that is held about one customer"),
        "customers:erase",
        True,
        _choose_person,
        _about_person,
        _sheet_of_person,
    ),
]
