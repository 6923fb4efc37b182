"""What group chats are called: kinds, and what the platform says of owners."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.communities.models import GroupChat

KINDS: dict[str, str | Promise] = {
    GroupChat.UNSET: _("No kind yet"),
    GroupChat.WELFARE: _("Offers group"),
    GroupChat.STORE: _("Store's group"),
    GroupChat.MEMBERS: _("Members' group"),
    GroupChat.EVENT: _("Group of an event"),
    GroupChat.OTHER: _("Another kind"),
}
STATUSES: dict[int, str | Promise] = {
    GroupChat.OWNER_LEFT: _("Owner left"),
    GroupChat.HANDING_OVER: _("Handing over"),
    GroupChat.HANDED_OVER: _("Handed over"),
}
# By what time WeCom's cap of a group counts.
QUOTAS: dict[str, str | Promise] = {
    "month": _("Mass messages this month"),
    "week": _("Mass messages this week"),
    "day": _("Mass messages today"),
    "none": _("Mass messages this month"),
}
# How somebody came in.
SCENES: dict[int, str | Promise] = {1: _("Invited"), 2: _("By an invitation link"), 3: _("By a code")}
