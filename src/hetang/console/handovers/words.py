"""What hand-overs are called: states, reasons, refusals."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.connectors.wecom.models import Handover, HandoverItem

Text = str | Promise
KINDS: dict[str, Text] = {
    Handover.LEFT: pgettext_lazy("hand-over", "She left"),
    Handover.ON_JOB: pgettext_lazy("hand-over", "In service"),
}
STATES: dict[str, tuple[Text, str]] = {
    Handover.PREPARING: (_("Being prepared"), "info"),
    Handover.REFUSED: (_("Could not be prepared"), "bad"),
    Handover.PREPARED: (_("Not started"), ""),
    Handover.RUNNING: (_("Under way"), "info"),
    Handover.DONE: (_("Finished"), "good"),
}
STOPPED: tuple[Text, str] = (_("Stopped halfway"), "warn")
ITEM_STATES: dict[str, tuple[Text, str]] = {
    HandoverItem.PLANNED: (pgettext_lazy("hand-over", "Not asked for yet"), ""),
    HandoverItem.ASKING: (pgettext_lazy("hand-over", "Being asked for"), "info"),
    HandoverItem.UNKNOWN: (pgettext_lazy("hand-over", "Outcome being looked up"), "warn"),
    HandoverItem.WAITING: (pgettext_lazy("hand-over", "Waiting in WeCom"), "info"),
    HandoverItem.DONE: (pgettext_lazy("hand-over", "Handed over"), "good"),
    HandoverItem.REFUSED: (pgettext_lazy("hand-over", "The customer refused"), "warn"),
    HandoverItem.FULL: (pgettext_lazy("hand-over", "The taker is full"), "warn"),
    HandoverItem.REJECTED: (pgettext_lazy("hand-over", "WeCom refused"), "bad"),
    HandoverItem.LEFT_OUT: (pgettext_lazy("hand-over", "Does not go"), ""),
}
REASONS: dict[str, Text] = {
    "left_long_ago": _("she left more than a year ago: WeCom hands nothing over any more"),
    "half": _("not a friend yet: the adviser has not confirmed her"),
    "lost": _("she has deleted the adviser"),
    "running": _("is being handed over already"),
    "too_often": _("was handed over twice in 90 days"),
    "full": _("nobody has room for more customers"),
    "given_up": _("left where it was when the rest was given up"),
    "over_limit": _("waits for the platform's limit of the day"),
    "no_relation": _("is no friend of hers any more"),
    "not_left": _("WeCom does not know that she left"),
    "has_left": _("WeCom says that she has left: prepare it anew"),
    "same": _("giver and taker are one"),
    "not_real_named": _("the taker has not proved her name to WeCom"),
    "no_function": _("the taker has not the customer contact function"),
    "not_activated": _("the taker has never logged in to WeCom"),
    "unknown_member": _("WeCom does not know one of the two"),
    "out_of_range": _("one of the two is not visible to the app: add her to its range"),
    "group_gone": _("the group is no more"),
    "no_answer": _("WeCom said nothing for three days: look in WeCom"),
    "refused_by_wecom": _("WeCom did not take it; the code says why"),
}
REFUSALS: dict[str, Text] = {
    "unreachable": _("WeCom does not answer, or refuses the app. See Settings → WeCom, and try again."),
    "nothing": _("There is nothing to hand over: no customers and no groups of hers are known."),
    "nobody": _("Choose somebody else who is in service and takes them over."),
    "same": _("Choose somebody else: giver and taker are one."),
    "no_function": _(
        "None of those whom you chose may serve customers in WeCom: give them the customer contact function."
    ),
    "begun": _("It has been started or discarded meanwhile. Look at it again."),
    "running": _("It is still running. Cancel it first, or wait for its end."),
}
