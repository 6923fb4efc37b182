"""How long messages of WeCom are kept as they came."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Keeping, Rows

KEEPING = [
    Keeping(
        "wecom_callbacks",
        _("Callbacks of WeCom, as they came"),
        _("To find out what WeCom sent. WeCom repeats a callback within minutes, never after days."),
        days=90,
        least=2,
        most=730,
        store=Rows("wecom_callbackmessage", "id", "received_at", "state <> 'waiting'"),
    )
]
