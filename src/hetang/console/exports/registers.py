"""Exports of registers: consents, exports, the audit log, rows that an import refused.

Three functions a kind: `choose_…` takes the parameters from the address, `about_…` says what will leave before it does,
`sheet_of_…` makes the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from pyroaring import BitMap

from hetang.console.audit import views as audit_page
from hetang.console.audit import wording
from hetang.console.customers import lists, words
from hetang.console.exports.people import by_number
from hetang.console.exports.pieces import moment, one_of
from hetang.console.paging import Page
from hetang.customers.models import Consent
from hetang.customers.wording import channel_word, purpose_word
from hetang.imports import messages as import_messages
from hetang.imports import queries as imports
from hetang.imports.models import Import
from hetang.platform.access import Actor, own_customers
from hetang.privacy import exports
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import About, Parameters, Sheet

# consents -------------------------------------------------------------------------------------------------------------


def choose_consents(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {name: given[name] for name in ("purpose", "channel") if given.get(name)}


def _consents(actor: Actor, chosen: Parameters) -> QuerySet[Consent]:
    return Consent.objects.filter(**chosen, customer__in=own_customers(actor, "privacy:view").values("pk"))


def about_consents(actor: Actor, chosen: Parameters) -> About:
    labels = {"purpose": (_("Purpose"), purpose_word), "channel": (_("Channel"), channel_word)}
    lines = [(labels[name][0], str(labels[name][1](value))) for name, value in chosen.items()]
    return About(_("Consents"), lines or [(_("Filter"), _("none: all consents"))], _consents(actor, chosen))


def sheet_of_consents(actor: Actor, chosen: Parameters) -> Sheet:
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
        _("Counts"),
    ]
    return Sheet(header, _said(actor, chosen, people), people)


def _said(actor: Actor, chosen: Parameters, people: BitMap) -> Iterator[list[Any]]:
    """Person by person; those without a word on it are passed over."""
    for chunk in by_number(own_customers(actor, "privacy:view").select_related("home_store", "owner")):
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
                    moment(one.occurred_at),
                    one.source,
                    _("yes") if one.counts else _("no"),
                ]


# exports --------------------------------------------------------------------------------------------------------------
def choose_all(_actor: Actor, _given: Mapping[str, str]) -> Parameters:
    return {}


def about_register(actor: Actor, _chosen: Parameters) -> About:
    return About(_("Register of exports"), [(_("Filter"), _("none: all entries"))], exports.seen_by(actor))


def sheet_of_register(actor: Actor, _chosen: Parameters) -> Sheet:
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
        asked = moment(one.asked_at)
        yield [one.number, one.title, purpose, one.note, one.actor, asked, count, one.state, one.downloads]


# the audit log --------------------------------------------------------------------------------------------------------


def choose_audit(actor: Actor, given: Mapping[str, str]) -> Parameters:
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


def about_audit(actor: Actor, chosen: Parameters) -> About:
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
    return About(_("Audit log"), lines, _chosen_audit(actor, chosen))


def sheet_of_audit(actor: Actor, chosen: Parameters) -> Sheet:
    header = [_("Time"), _("Who"), _("Action"), _("Object"), _("Number"), _("Changes"), _("Address")]
    return Sheet(header, _entries(_chosen_audit(actor, chosen)))


def _entries(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    for row in rows.order_by("-at", "-id").iterator(chunk_size=2000):
        at = timezone.localtime(row.at).isoformat(timespec="seconds")
        yield [at, row.actor, row.action, row.target_type, row.target_id, row.changes, row.address or ""]


# rows that an import refused ------------------------------------------------------------------------------------------


def choose_problems(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    return {"import": given.get("import", ""), "stage": "run" if given.get("stage") == "run" else "check"}


def about_problems(_actor: Actor, chosen: Parameters) -> About:
    owner: Import = one_of(Import.objects.all(), chosen["import"])
    title = _("Rows not taken of “%(name)s”") % {"name": owner.title}
    return About(title, [(_("File"), owner.title), (_("Personal values"), _("masked"))])


def sheet_of_problems(_actor: Actor, chosen: Parameters) -> Sheet:
    owner: Import = one_of(Import.objects.all(), chosen["import"])
    header = [str(heading) for heading in import_messages.PROBLEM_HEADINGS]
    return Sheet(header, imports.problem_rows(owner, chosen["stage"]))
