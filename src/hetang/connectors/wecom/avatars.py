"""Customers' avatars, from a cache of ours: the browser may load nothing from elsewhere.

A page that shows somebody without one wishes for it; the loop asks WeCom for its address, fetches it from the hosts at
which WeCom keeps pictures (or from the simulator), decodes it and keeps a small JPEG, sealed. After a month it is
removed and, where somebody still looks, fetched anew. Nothing but the pictures' hosts is ever asked, whatever WeCom
says, and nothing is passed on to the browser as it came.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.db import connection
from django.db.models import Q

from hetang.campaigns import pictures
from hetang.campaigns.errors import CampaignError
from hetang.connectors.wecom.asking import Asked
from hetang.connectors.wecom.client import default_app
from hetang.connectors.wecom.errors import NotConnected
from hetang.connectors.wecom.models import Avatar, Corp
from hetang.platform import clock, outgoing, registry_values
from hetang.platform.loops import Loop
from hetang.platform.metrics import Counter
from hetang.platform.sealing import seal, unseal

log = logging.getLogger(__name__)

SIDE = 96  # pixels
MOST_BYTES = 1 << 20
BATCH = 20
MOST_TRIES = 4
AT_ONCE = 5
_PAUSE = timedelta(minutes=2)  # doubled with each try
_IDLE_S = 6.0  # long enough to give the connection back
_ANYWHERE = ("0.0.0.0/0", "::/0")

FETCHED = Counter("hetang_wecom_avatars_total", "Avatars that were asked for, by outcome.", ("outcome",))


@dataclass(frozen=True)
class _Found:
    row: Avatar
    outcome: str  # kept, none, again
    picture: bytes = b""


def kept_of(numbers: Sequence[int], *, wish: bool) -> set[int]:
    """Those of the customers of whom an avatar is kept; with `wish` those of the others are fetched soon. One or two
    statements."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES, {"numbers": list(numbers)})
        rows = cursor.fetchall()
        missing = sorted({key for _, key, state in rows if state is None})
        if wish and missing:
            cursor.execute(_WISH, {"keys": missing, "now": clock.now()})
    return {number for number, _, state in rows if state == Avatar.KEPT}


def picture_of(number: int) -> bytes | None:
    """The JPEG of a customer's avatar, the newest if she has several accounts; None where none is kept."""
    with connection.cursor() as cursor:
        cursor.execute(_PICTURE, {"number": number})
        row = cursor.fetchone()
    return unseal(row[0]) if row else None


def run_once() -> float:
    """Fetch a few of those wished for, the newest wishes first. Returns seconds until the next look."""
    due = Q(again_at=None) | Q(again_at__lte=clock.now())
    wanted = list(Avatar.objects.filter(due, state=Avatar.WANTED).order_by("-wanted_at", "-id")[:BATCH])
    if not wanted:
        return _IDLE_S
    try:
        app = default_app()
    except NotConnected:
        return _IDLE_S
    answers = Asked(app).customers(one.external_userid for one in wanted)
    todo: list[tuple[Avatar, str]] = []
    found: list[_Found] = []
    for row in wanted:
        answer = answers[row.external_userid]
        if answer.silence:
            found.append(_Found(row, "again"))
            continue
        contact = answer.value.external_contact if answer.value is not None else None
        todo.append((row, contact.avatar if contact else ""))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="avatars") as pool:
        found += pool.map(lambda one: _fetch(app.corp, *one), todo)
    _note(found)
    return _IDLE_S if all(one.outcome == "again" for one in found) else 0.0


def address_of(corp: Corp, told: str) -> tuple[str, Sequence[str]] | None:
    """The address from which a picture that WeCom named is fetched, and the networks that it may lie in; None for what
    lies at no host of WeCom's pictures. Only the simulator of a simulated corp may lie inside."""
    try:
        parts = urlsplit(told)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    if corp.simulated and parts.netloc and parts.netloc == urlsplit(corp.address).netloc:
        return told, _ANYWHERE
    hosts = registry_values.from_environment("web.wecom_picture_hosts")
    known = isinstance(hosts, list) and any(host == one or host.endswith(f".{one}") for one in hosts)
    if not known or parts.scheme not in {"http", "https"} or parts.port is not None:
        return None
    return f"https://{host}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else ""), ()


def _fetch(corp: Corp, row: Avatar, told: str) -> _Found:
    target = address_of(corp, told) if told else None
    if target is None:
        if told:
            log.warning(
                "an avatar lies at a host that is not among those of WeCom's pictures: %s", urlsplit(told).hostname
            )
        return _Found(row, "none")
    try:
        answer = outgoing.get(target[0], MOST_BYTES, target[1])
    except outgoing.Forbidden:
        return _Found(row, "none")
    except outgoing.Unreachable as problem:
        log.info("an avatar could not be fetched: %s", problem)
        return _Found(row, "again")
    if answer.status != 200:
        return _Found(row, "again" if answer.status >= 500 else "none")
    try:
        return _Found(row, "kept", _small(answer.body))
    except (CampaignError, OSError, ValueError):
        return _Found(row, "none")  # too large, or no picture


def _small(data: bytes) -> bytes:
    """A square JPEG of 96 pixels, made anew of the decoded pixels. Raises CampaignError for what is no picture."""
    from PIL import Image, ImageOps

    looked = pictures.look_at(data, MOST_BYTES)
    small = ImageOps.fit(Image.open(io.BytesIO(looked.thumbnail)), (SIDE, SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _note(found: Sequence[_Found]) -> None:
    """Only rows that are still there: who was erased meanwhile has none."""
    now = clock.now()
    for one in found:
        mine = Avatar.objects.filter(pk=one.row.pk, state=Avatar.WANTED)
        last = one.row.tries + 1 >= MOST_TRIES
        if one.outcome == "kept":
            mine.update(state=Avatar.KEPT, picture=seal(one.picture), fetched_at=now)
        elif one.outcome == "none" or last:
            mine.update(state=Avatar.NONE, fetched_at=now)
        else:
            mine.update(tries=one.row.tries + 1, again_at=now + _PAUSE * 2**one.row.tries)
        FETCHED.add(one.outcome)


_STATES = """
select i.customer_id, i.key, a.state from customers_identity i
left join wecom_avatar a on a.external_userid = i.key
where i.kind = 'external_userid' and i.customer_id = any(%(numbers)s)
"""
_WISH = """
insert into wecom_avatar (external_userid, state, wanted_at, tries)
select key, 'wanted', %(now)s, 0 from unnest(%(keys)s::text[]) as k(key)
where exists (select from wecom_corp where is_default)
on conflict do nothing
"""
_PICTURE = """
select a.picture from customers_identity i join wecom_avatar a on a.external_userid = i.key
where i.kind = 'external_userid' and i.customer_id = %(number)s and a.state = 'kept'
order by a.fetched_at desc, a.id desc limit 1
"""

loop = Loop("wecom.avatars", run_once)
