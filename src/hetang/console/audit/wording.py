"""What audited actions are called. Codes without wording are shown as they are."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ACTIONS: dict[str, str | Promise] = {
    "session.opened": _("logged in"),
    "session.closed": _("logged out"),
    "user.created": _("made a user"),
    "user.switched": _("switched a user on or off"),
    "grant.added": _("gave a role"),
    "grant.removed": _("took a role away"),
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
    "api_key.revoked": _("revoked an API key"),
    "settings.changed": _("changed the system's settings"),
    "backup.begun": _("started a backup"),
    "backup.restored": _("restored a backup"),
    "drill.begun": _("tried a restore"),
    "job.cancelled": _("cancelled a job"),
    "held.replayed": _("replayed a held record"),
    "held.dismissed": _("dismissed a held record"),
    "stream.passed_one": _("let a stream pass a record"),
    "board.exported": _("exported the board"),
    "report.exported": _("exported a report"),
    "customer.tagged": _("put a tag on a customer"),
    "customer.untagged": _("took a tag off a customer"),
    "customer.consent": _("changed a consent"),
    "customer.do_not_disturb": _("changed do-not-disturb"),
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
    "user": _("user"),
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
}


def action_label(code: str) -> str:
    """An action in the current language."""
    return str(ACTIONS.get(code, code))


def target_label(code: str) -> str:
    """A kind of object in the current language."""
    return str(TARGETS.get(code, code))
