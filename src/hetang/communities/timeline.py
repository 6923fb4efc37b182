"""When a customer came into group chats and left them, for her timeline. Read from the stays: they are the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from hetang.customers.queries import Entry, Place, Source

INVITED, BY_LINK, BY_CODE = 1, 2, 3
REMOVED = 1
_JOINED: dict[int, str | Promise] = {
    0: pgettext_lazy("timeline", "Joined the group chat “%(name)s”"),
    INVITED: pgettext_lazy("timeline", "Joined the group chat “%(name)s” by invitation"),
    BY_LINK: pgettext_lazy("timeline", "Joined the group chat “%(name)s” by a link"),
    BY_CODE: pgettext_lazy("timeline", "Joined the group chat “%(name)s” by a code"),
}
# A stay that ends with its group: nobody left it.
_STAYS = """
select m.{at}, m.id, g.chat_id, g.name, m.join_scene, m.quit_scene, m.left_at = g.dissolved_at
from customers_identity i
join communities_groupmember m on m.member = i.key and not m.is_staff and m.{at} is not null
join communities_groupchat g on g.id = m.group_id
where i.kind = 'external_userid' and i.customer_id = any(%(numbers)s) {before}
order by m.{at} desc, m.id desc limit %(limit)s
"""


class _Stays:
    """One entry for each beginning or each end of a stay."""

    def __init__(self, kind: str, column: str) -> None:
        self.kind, self._column = kind, column

    def entries(self, numbers: Sequence[int], before: Place | None, limit: int) -> list[Entry]:
        params: dict[str, Any] = {"numbers": list(numbers), "limit": limit}
        condition = ""
        if before is not None:
            condition = f"and (m.{self._column}, m.id) < (%(at)s, %(id)s)"
            params |= {"at": before[0], "id": before[1]}
        with connection.cursor() as cursor:
            cursor.execute(_STAYS.format(at=self._column, before=condition), params)
            return [
                Entry(at, stay, self.kind, "wecom", str(stay), self._words(how) % _named(name), {"group": chat_id})
                for at, stay, chat_id, name, *how in cursor.fetchall()
            ]

    def _words(self, how: list[Any]) -> str:
        join_scene, quit_scene, dissolved = how
        if self.kind == JOINED:
            return str(_JOINED.get(join_scene, _JOINED[0]))
        if dissolved:
            return _("The group chat “%(name)s” was dissolved")
        if quit_scene == REMOVED:
            return _("Was removed from the group chat “%(name)s”")
        return _("Left the group chat “%(name)s”")


def _named(name: str) -> dict[str, str]:
    return {"name": name or _("Without a name")}


JOINED, LEFT = "group.joined", "group.left"
group_stays: tuple[Source, ...] = (_Stays(JOINED, "joined_at"), _Stays(LEFT, "left_at"))
