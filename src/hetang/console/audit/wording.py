"""What audited actions are called. Codes without wording are shown as they are."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.console.campaigns.words import REASONS

LOOKS: dict[str, str | Promise] = {
    "look.portrait": _("looked at a customer"),
    "look.reveal": _("saw a masked value in full"),
    "look.search": _("searched for a customer"),
    "look.list": _("looked at a list of customers"),
    "look.held": _("looked at a held record"),
    "look.request": _("looked at a customer's request"),
    "look.personal_copy": _("took out all that is held about a customer"),
}
ACTIONS: dict[str, str | Promise] = {
    "customer.erasure_ordered": _("ordered that a customer be erased"),
    "customer.erased": _("a customer was erased"),
    "privacy.limits": _("changed the privacy rules"),
    "privacy.link_made": _("made a link to a customer's privacy page"),
    "privacy.link_ended": _("ended a link to a customer's privacy page"),
    "privacy.link_failed": _("a link ended after wrong answers"),
    "privacy.chose": _("a customer chose on her page"),
    "privacy.asked": _("a customer asked for something"),
    "privacy.answered": _("answered a customer's request"),
    "customer.erasure_proof": _("took the proof of an erasure"),
    "customer.erasure_checked": _("checked an erasure"),
    "consents.basis_stated": _("stated the legal basis of a source's consents"),
    "consents.basis_continued": _("went on with stating the legal basis of a source's consents"),
    "consents.basis_done": _("the legal basis of a source's consents was written down"),
    "consent_text.added": _("added a text of consent"),
    "keys.rotation_begun": _("started a rotation of the keys"),
    "keys.rotated": _("the keys were rotated"),
    "keeping.changed": _("changed how long something is kept"),
    "keeping.begun": _("started the removal of what is over"),
    "keeping.removed": _("what was over was removed"),
    "export.asked": _("asked for an export"),
    "export.made": _("an export was written"),
    "export.downloaded": _("downloaded an export"),
    "export.withdrawn": _("took back an export"),
    "export.deleted": _("deleted an exported file"),
    "audit.checked": _("checked the seals of the audit log"),
    "view_as.begun": _("began to look as somebody else"),
    "view_as.ended": _("ended looking as somebody else"),
    "session.opened": _("logged in"),
    "session.closed": _("logged out"),
    "user.created": _("made a user"),
    "user.linked": _("said who a login is among the staff"),
    "user.switched": _("switched a user on or off"),
    "grant.added": _("gave a role"),
    "grant.removed": _("took a role away"),
    "session.ended": _("ended sessions"),
    "password.changed": _("chose a new password"),
    "password.reset": _("reset a password"),
    "user.unlocked": _("let a locked user try again"),
    "two_factor.on": _("turned the second factor on"),
    "two_factor.off": _("turned the second factor off"),
    "two_factor.codes": _("made new recovery codes"),
    "login_rules.changed": _("changed the log-in rules"),
    "approval.asked": _("asked for approval"),
    "approval.approved": _("approved"),
    "approval.refused": _("refused approval"),
    "approval.withdrawn": _("took back a request for approval"),
    "approval.void": _("changed what was to be approved"),
    "approval.used": _("used an approval"),
    "approval.rules": _("changed the approval rules"),
    "role.created": _("made a role"),
    "role.changed": _("changed a role"),
    "role.deleted": _("deleted a role"),
    "org_node.changed": _("changed a place of the organisation"),
    "brand.changed": _("changed the brand's settings"),
    "api_key.created": _("made an API key"),
    "api_key.limits": _("changed the limits of an API key"),
    "api_key.revoked": _("revoked an API key"),
    "wecom.connected": _("connected WeCom"),
    "wecom.synced": _("brought in staff and friends from WeCom"),
    "wecom.keys_shown": _("saw the keys of WeCom's callback"),
    "wecom.tried": _("peopled the simulated WeCom"),
    "settings.changed": _("changed the system's settings"),
    "alert.acknowledged": _("took care of an alert"),
    "alert.tested": _("sent a test of the alerts"),
    "backup.begun": _("started a backup"),
    "backup.restored": _("restored a backup"),
    "drill.begun": _("tried a restore"),
    "job.cancelled": _("cancelled a job"),
    "held.replayed": _("replayed a held record"),
    "held.dismissed": _("dismissed a held record"),
    "stream.passed_one": _("let a stream pass a record"),
    "review.same": _("decided that two customers are one person"),
    "review.apart": _("decided that two customers are not one person"),
    "review.later": _("put off whether two customers are one person"),
    "review.taken_back": _("took back whether two customers are one person"),
    "review.proposed": _("believes that two customers are one person"),
    "review.looked": _("looked through all customers for those who may be one person"),
    "customer.told_apart": _("told two merged customers apart"),
    "customer.decision_lifted": _("took back a decision about who is the same person"),
    "customer.tagged": _("put a tag on a customer"),
    "customer.untagged": _("took a tag off a customer"),
    "customer.consent_basis": _("stated the legal basis of a consent"),
    "customer.consent": _("changed a consent"),
    "customer.personalisation": _("changed the choice about personalisation"),
    "customer.do_not_disturb": _("changed do-not-disturb"),
    "bulk.previewed": _("prepared a change to many customers"),
    "bulk.started": _("started a change to many customers"),
    "bulk.continued": _("went on with a change to many customers"),
    "bulk.done": _("a change to many customers was finished"),
    "bulk.undoing": _("began to undo a change to many customers"),
    "bulk.undone": _("a change to many customers was undone"),
    "bulk.discarded": _("discarded a change to many customers"),
    "campaign.created": _("made a campaign"),
    "campaign.changed": _("changed a campaign"),
    "campaign.closed": _("closed a campaign"),
    "campaign.open": _("opened a campaign again"),
    "broadcast.created": _("made a broadcast"),
    "broadcast.changed": _("changed a broadcast"),
    "picture.uploaded": _("uploaded a picture"),
    "broadcast.discarded": _("discarded a draft"),
    "broadcast.sent": _("confirmed a broadcast"),
    "programme.paused": _("paused a broadcast"),
    "programme.running": _("resumed a broadcast"),
    "programme.cancelling": _("cancelled a broadcast"),
    "programme.remind": _("reminded advisers"),
    "governor.save": _("changed the contact limits"),
    "audience.saved": _("saved an audience"),
    "audience.archived": _("archived an audience"),
    "audience.restored": _("brought an audience back"),
    "tag.created": _("made a tag"),
    "tag.renamed": _("renamed a tag"),
    "tag.archived": _("archived a tag"),
    "view.saved": _("kept a view of a list"),
    "view.removed": _("removed a view of a list"),
    "tag_group.created": _("made a tag group"),
    "simulator.advanced": _("let time pass in the simulation"),
    "simulator.confirmed": _("confirmed simulated tasks"),
    "simulator.ignored": _("ignored simulated tasks"),
    "simulator.changed": _("changed the simulation"),
}

TARGETS: dict[str, str | Promise] = {
    "privacy": _("privacy rules"),
    "export": _("export"),
    "retention": _("keeping times"),
    "basis_statement": _("legal basis of consents"),
    "consent_text": _("text of consent"),
    "privacy_request": _("request of a customer"),
    "audit": _("audit log"),
    "alert": _("alert"),
    "user": _("user"),
    "login_rules": _("log-in rules"),
    "role": _("role"),
    "approval": _("approval"),
    "approval_rule": _("approval rules"),
    "org_node": _("place"),
    "brand": _("brand"),
    "api_key": _("API key"),
    "job": _("job"),
    "settings": _("settings"),
    "installation": _("installation"),
    "held_fact": _("held record"),
    "stream": _("stream"),
    "board": _("board"),
    "programme": _("broadcast"),
    "customer": _("customer"),
    "bulk_change": _("change to many customers"),
    "tag": _("tag"),
    "tag_group": _("tag group"),
    "view": _("view of a list"),
    "audience": _("audience"),
    "campaign": _("campaign"),
    "governor": _("contact limits"),
    "broadcast": _("broadcast"),
    "picture": _("picture"),
    "import": _("import"),
    "simulator": _("simulated WeCom"),
    "wecom": _("connection to WeCom"),
}

# What the values of an entry are called; names without wording are shown as they are.
FIELDS: dict[str, str | Promise] = {
    "second_factor": pgettext_lazy("audit value", "second factor"),
    "name": pgettext_lazy("audit value", "name"),
    "reason": pgettext_lazy("audit value", "reason"),
    "role": pgettext_lazy("audit value", "role"),
    "purpose": pgettext_lazy("audit value", "purpose"),
    "state": pgettext_lazy("audit value", "state"),
    "rows": pgettext_lazy("audit value", "rows"),
    "filters": pgettext_lazy("audit value", "filters"),
    "of": pgettext_lazy("audit value", "list"),
    "audience": pgettext_lazy("audit value", "audience"),
    "rule": pgettext_lazy("audit value", "rule"),
    "value": pgettext_lazy("audit value", "value"),
    "shown": pgettext_lazy("audit value", "shown"),
    "found": pgettext_lazy("audit value", "found"),
    "permissions": pgettext_lazy("audit value", "permissions"),
    "language": pgettext_lazy("audit value", "language"),
}


def action_label(code: str) -> str:
    """An action in the current language."""
    return str(ACTIONS.get(code) or LOOKS.get(code, code))


def target_label(code: str) -> str:
    """A kind of object in the current language."""
    return str(TARGETS.get(code, code))


def field_label(code: str) -> str:
    """The name of a value in the current language."""
    return str(FIELDS.get(code, code))


def value_label(name: str, value: object) -> object:
    """A value in the current language: whose list was looked at has a name, everything else is shown as it is."""
    if name != "of" or not isinstance(value, str):
        return value
    known = REASONS.get("" if value == "send" else value)
    return str(known[0]) if known else target_label(value)
