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
    ),
    Keeping(
        "wecom_pairs",
        _("What WeCom says of friendships"),
        _("To see what changed in WeCom and which tags differ, it stays as long as the friendship is listed there."),
        until=_("A friendship that has ended is removed with the person, or with the corp."),
    ),
    Keeping(
        "wecom_skipped",
        _("What a sync with WeCom skipped"),
        _("To put right what WeCom did not tell, with its reason."),
        days=90,
        least=7,
        most=730,
        store=Rows("wecom_skipped", "id", "at"),
    ),
    Keeping(
        "wecom_notices",
        _("Notices of WeCom about the corp"),
        _("To see what WeCom said of links, quotas and hand-overs."),
        days=365,
        least=30,
        most=1095,
        store=Rows("wecom_corpnotice", "id", "at"),
    ),
    Keeping(
        "wecom_receipts",
        _("Who got mass messages that were not sent from here"),
        _("They use the same caps of WeCom, whose longest window is a month."),
        days=62,
        least=31,
        most=400,
        store=Rows("wecom_massreceipt", "id", "sent_at"),
    ),
    Keeping(
        "wecom_avatars",
        _("Avatars of customers"),
        _("To recognise her on her page. Fetched anew where somebody looks again."),
        days=30,
        least=1,
        most=180,
        store=Rows("wecom_avatar", "id", "fetched_at"),
    ),
    Keeping(
        "wecom_handovers",
        _("Hand-overs: which customer and which group went to whom"),
        _("WeCom allows two hand-overs of one customer in 90 days; and to answer who looked after whom."),
        days=730,
        least=91,
        most=3650,
        store=Rows("wecom_handoveritem", "id", "settled_at"),
    ),
]
