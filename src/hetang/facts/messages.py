"""The wording of refusals: what is wrong and what to do next, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext, gettext_noop

_REFUSALS = {
    "unknown_kind": gettext_noop("There is no kind of fact called “%(kind)s”. Use one of the kinds in the reference."),
    "bad_key": gettext_noop("The key must have 1 to %(limit)s printable characters."),
    "bad_source": gettext_noop(
        "The source must be 1 to %(limit)s lower-case letters, digits, dots, dashes or underscores."
    ),
    "time_without_zone": gettext_noop("The time has no zone. Write it like 2026-11-11T09:00:00+08:00."),
    "time_too_early": gettext_noop("The time lies before 1990. Check its unit and format."),
    "time_in_future": gettext_noop("The time lies more than a day ahead. Check the sender's clock and zone."),
    "unknown_identity_kind": gettext_noop("“%(kind)s” is no kind of identity."),
    "bad_identity": gettext_noop("The identity “%(kind)s” is empty, too long or not of its form."),
    "too_many_identities": gettext_noop("A fact may name at most %(limit)s identities."),
    "nobody_named": gettext_noop("This kind of fact must name somebody in “who”."),
    "somebody_named": gettext_noop("This kind of fact names nobody: leave “who” empty."),
    "two_identities_needed": gettext_noop("Name at least two identities that belong to one person."),
    "name_too_long": gettext_noop("The name may have at most %(limit)s characters."),
    "channel_must_be_any": gettext_noop("The purpose “%(purpose)s” holds for every channel: send “any” as “channel”."),
    "consent_without_basis": gettext_noop(
        "Kept, but this consent does not count: it has no legal basis. Send it again under a new key, with a later time"
        " and its “basis”, or state the basis in the register of consents."
    ),
    "net_is_not_sum_of_lines": gettext_noop("“net” is %(net)s, but the lines add up to %(sum)s. Send them equal."),
    "swapped_coordinates": gettext_noop(
        "Field “%(path)s” of the body: latitude and longitude seem to be swapped. Send each in the other's place."
    ),
    "bad_body": gettext_noop("Field “%(path)s” of the body: %(problem)s."),
    "bad_fact": gettext_noop("Field “%(path)s”: %(problem)s."),
    "bad_json": gettext_noop("The request cannot be read (%(path)s): %(problem)s."),
    "batch_size": gettext_noop("A request holds 1 to %(limit)s facts; this one has %(count)s."),
    "members_missing": gettext_noop("A set fact needs its members."),
    "members_unexpected": gettext_noop("Only set facts have members."),
    "objected": gettext_noop(
        "Somebody named here was erased and does not want to be known again. Nothing of this fact was kept; take her"
        " out of the sending system too."
    ),
    "erased": gettext_noop("Somebody named here was erased; nothing is left to replay."),
    "unknown_link": gettext_noop("There is no short link “%(code)s”. Send the code behind /l/ in its address."),
    "unknown_store": gettext_noop("Store “%(code)s” is not known. Import or create it, then replay."),
    "unknown_staff": gettext_noop("Staff member “%(code)s” is not known. Synchronise or import staff, then replay."),
    "kept_tag": gettext_noop(
        "The tag “%(code)s” is kept by a rule: nobody else puts it on or takes it off. Dismiss this."
    ),
    "unknown_tag": gettext_noop("Tag “%(code)s” does not exist. Create it, then replay."),
    "attribute_type": gettext_noop(
        "Attribute “%(code)s” has another type than its definition. Correct the sender or the definition, then replay."
    ),
    "no_external_userid": gettext_noop("A friendship needs the customer's “external_userid” in “who”."),
    "history_refused": gettext_noop("The columnar history does not take this fact: %(problem)s"),
    "handler_failed": gettext_noop("The stream failed on this fact: %(problem)s"),
}


def refusal_text(code: str, detail: Mapping[str, object]) -> str:
    """One sentence for a refusal, in the current language; the bare code if it is not known here."""
    template = _REFUSALS.get(code)
    if template is None:
        return code
    try:
        return gettext(template) % detail
    except KeyError:
        return f"{code} {dict(detail)}"
