"""When orders end."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Keeping

KEEPING = [
    Keeping(
        "orders",
        _("Orders, refunds and what they add up to"),
        _("The books must keep amount, store, day and order number; what she bought is hers as long as she is known."),
        until=_("without a name: always; with it: until the customer is erased"),
    )
]
