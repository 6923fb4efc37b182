"""How long the fact room keeps what came in."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Keeping, Rows

KEEPING = [
    Keeping(
        "intake",
        _("What came in, as it came"),
        _("To find out what a source sent when a figure is doubted. What was made of it is in the fact log."),
        days=90,
        most=730,
        store=Rows("facts_intake", "received_at, id", "received_at"),
    ),
    Keeping(
        "held",
        _("Records that were held, once they are settled"),
        _("To see how a record was settled. Those that are open stay until somebody settles them."),
        days=90,
        most=730,
        store=Rows("facts_heldfact", "id", "received_at", "state <> 'open'"),
    ),
    Keeping(
        "facts",
        _("What happened (the fact log)"),
        _("Everything that is known of a customer is folded from it: orders, tags, consents, friends."),
        until=_("until the customer is erased; sales stay without her"),
    ),
    Keeping(
        "fact_keys",
        _("Hashes of the facts' keys"),
        _("So that a repeated delivery is not counted twice, even years later. They name nobody."),
        until=_("always"),
    ),
]
