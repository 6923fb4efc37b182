"""Messages that were sent to a customer, for her timeline. Read from the ledger: facts about messages name sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.customers.queries import Entry, Place, Source
from hetang.customers.wording import message

_SENT = """
select t.sent_at, t.id, t.programme, t.channel, t.message_class, p.name
from touch_touch t join touch_programme p on p.id = t.programme
where t.customer = any(%(numbers)s) and t.reserved and t.state = 'sent' and t.sent_at is not null {before}
order by t.sent_at desc, t.id desc limit %(limit)s
"""
_NO_NAMES: dict[str, dict[str, str]] = {"stores": {}, "staff": {}, "tags": {}}


def sent_since(number: int, at: datetime) -> int:
    """How many messages a customer was sent from a time on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from touch_touch where customer = %s and reserved and state = 'sent' and sent_at >= %s",
            [number, at],
        )
        return int(cursor.fetchone()[0])


class _SentMessages:
    """One entry for each message, with the name of its programme."""

    kind = "touch.sent"

    def entries(self, numbers: Sequence[int], before: Place | None, limit: int) -> list[Entry]:
        params: dict[str, Any] = {"numbers": list(numbers), "limit": limit}
        condition = ""
        if before is not None:
            condition = "and (t.sent_at, t.id) < (%(at)s, %(id)s)"
            params |= {"at": before[0], "id": before[1]}
        with connection.cursor() as cursor:
            cursor.execute(_SENT.format(before=condition), params)
            return [self._entry(row) for row in cursor.fetchall()]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        at, touch, programme, channel, message_class, name = row
        body = {"programme": programme, "channel": channel, "message_class": message_class}
        text = message(self.kind, body, _NO_NAMES, lambda _: "")
        return Entry(at, touch, self.kind, channel, str(touch), f"{text}: {name}" if name else text, body)


sent_messages: Source = _SentMessages()
