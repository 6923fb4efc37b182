"""When what is known of customers ends."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Keeping

KEEPING = [
    Keeping(
        "customers",
        _("Who she is: identities, profile, tags, friends, consents"),
        _("To serve her, as long as she is a customer. Consents prove on which basis she was written to."),
        until=_("until she asks to be erased, or somebody orders it because the purpose is over"),
    )
]
