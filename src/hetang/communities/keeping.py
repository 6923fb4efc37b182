"""How long it is kept who was in which group."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from hetang.platform.keeping import Keeping, Rows

KEEPING = [
    Keeping(
        "group_stays",
        _("Who was in which group chat"),
        _("To see who joins and leaves, and how many new members stay. It is removed when somebody has long left."),
        days=730,
        least=90,
        most=1825,
        store=Rows("communities_groupmember", "id", "left_at", "left_at is not null"),
    )
]
