"""The fast lane of welcomes: a code lives 20 seconds, so nothing but the rules' own conditions is asked for here.

Runs in the worker as a loop of its own, under its lease; needs PostgreSQL and WeCom, neither the engine nor the
customer's details. Pictures were given to WeCom when the rule was saved.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import F, QuerySet
from pyroaring import BitMap

from hetang.audiences.queries import members
from hetang.connectors.wecom import enclosures, rules
from hetang.connectors.wecom.client import calling_app, client_of
from hetang.connectors.wecom.errors import NotConnected, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App, Welcome, WelcomeRule
from hetang.connectors.wecom.protocol import messages
from hetang.connectors.wecom.protocol.messages import Attachment, Image, Link, Text
from hetang.customers.models import Identity
from hetang.platform import clock
from hetang.platform.loops import Loop
from hetang.platform.metrics import Counter, Histogram
from hetang.platform.sealing import unseal
from hetang.resources.models import Staff

log = logging.getLogger(__name__)

LIFE = timedelta(seconds=20)
BATCH = 100
AT_ONCE = 10
ALREADY = 41051
_IDLE_S = 0.1
_RULES_S = 2.0  # how long a worker may still go by the rules of before
_AUDIENCES_S = 30.0

WELCOMED = Counter("hetang_wecom_welcomes_total", "Welcome codes, by what became of them.", ("state",))
TOOK = Histogram("hetang_wecom_welcome_seconds", "From WeCom's event to the welcome sent.", ())


@dataclass(frozen=True)
class Book:
    """The rules in order, as the lane reads them."""

    conditions: list[rules.Condition]
    by_id: dict[int, WelcomeRule]


_book: tuple[float, Book] | None = None
_known: dict[int, tuple[float, BitMap]] = {}
_pool: ThreadPoolExecutor | None = None


def run_once() -> float:
    """Send what waits, several side by side. Returns seconds until the next look."""
    waiting = list(Welcome.objects.select_related("app__corp").filter(state=Welcome.WAITING).order_by("id")[:BATCH])
    if not waiting:
        return _IDLE_S
    # Before the calls, so that a worker that dies in between leaves a trace of having tried.
    Welcome.objects.filter(pk__in=[one.pk for one in waiting]).update(tries=F("tries") + 1)
    book = read_book()
    friends = describe(waiting, book)
    if len(waiting) == 1 or waiting[0].app.corp.concurrency <= 1:
        for one in waiting:
            _settle(one, book, friends[one.pk])
    else:
        list(_threads().map(lambda one: _in_thread(one, book, friends[one.pk]), waiting))
    return 0.0


def read_book() -> Book:
    """The enabled rules, read again after two seconds."""
    global _book  # noqa: PLW0603 - one cache per process is the point
    if _book is None or time.monotonic() - _book[0] > _RULES_S:
        _book = (time.monotonic(), book_of(WelcomeRule.objects.filter(enabled=True)))
    return _book[1]


def forget() -> None:
    """Read rules and audiences again at once."""
    global _book  # noqa: PLW0603
    _book = None
    _known.clear()


def book_of(found: QuerySet[WelcomeRule]) -> Book:
    """Rules in their order."""
    rows = list(found.select_related("org_node", "mini_picture", "video", "file").order_by("position", "id"))
    conditions = [condition(row) for row in rows]
    return Book(conditions, {row.pk: row for row in rows})


def condition(row: WelcomeRule) -> rules.Condition:
    """A rule's condition for the pure part."""
    return rules.Condition(
        rule_id=row.pk,
        channel_states=frozenset(row.channel_states),
        node_path=row.org_node.path if row.org_node else "",
        staff=frozenset(row.staff),
        from_minute=row.from_minute,
        until_minute=row.until_minute,
        audience_id=row.audience_id,
    )


def describe(waiting: list[Welcome], book: Book) -> dict[int, rules.Friend]:
    """Each new friend as the rules see her: two queries for all of them, and the snapshots of the audiences named."""
    paths = dict(
        Staff.objects.filter(userid__in={one.userid for one in waiting}).values_list("userid", "org_node__path")
    )
    numbers = dict(
        Identity.objects.filter(kind="external_userid", key__in={one.external_userid for one in waiting}).values_list(
            "key", "customer_id"
        )
    )
    named = {one.audience_id for one in book.conditions if one.audience_id is not None}
    sets = {audience: _members(audience) for audience in named} if numbers else {}
    found: dict[int, rules.Friend] = {}
    for one in waiting:
        local = one.happened_at.astimezone(clock.zone())
        number = numbers.get(one.external_userid)
        found[one.pk] = rules.Friend(
            channel_state=one.channel_state,
            userid=one.userid,
            node_path=paths.get(one.userid, ""),
            minute=local.hour * 60 + local.minute,
            audiences=frozenset(a for a, some in sets.items() if number is not None and number in some),
        )
    return found


def _members(audience_id: int) -> BitMap:
    """Of the newest snapshot, which PostgreSQL has: the engine may be down."""
    known = _known.get(audience_id)
    if known is None or time.monotonic() - known[0] > _AUDIENCES_S:
        known = _known[audience_id] = (time.monotonic(), members(audience_id))
    return known[1]


def _threads() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - threads keep their database connections from one welcome to the next
    if _pool is None:
        _pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="welcome")
    return _pool


def _in_thread(one: Welcome, book: Book, friend: rules.Friend) -> None:
    try:
        _settle(one, book, friend)
    except Exception:
        log.exception("a welcome failed")
        connection.close()


def _settle(one: Welcome, book: Book, friend: rules.Friend) -> None:
    """Send one, and write what became of it. What may still succeed stays waiting."""
    rule = book.by_id.get(rules.winner(book.conditions, friend) or 0)
    if clock.now() - one.happened_at > LIFE:
        _write(one, Welcome.LATE, rule)
    elif rule is None:
        _write(one, Welcome.NONE)
    else:
        _send(one, rule)


def _send(one: Welcome, rule: WelcomeRule) -> None:
    try:
        app = calling_app(one.app)
        client_of(app).call(messages.WELCOME, body_of(rule, unseal(one.code or b"").decode(), app))
    except (NotSent, Unanswered, RateLimited) as problem:
        log.warning("a welcome is tried again: %s", problem)
        return
    except NotConnected:
        _write(one, Welcome.REFUSED, rule)
    except WeComError as problem:
        # After an earlier try of ours whose answer was lost, "already sent" means by that one.
        sent_before = problem.code == ALREADY and one.tries > 0
        _write(one, Welcome.SENT if sent_before else Welcome.REFUSED, rule, 0 if sent_before else problem.code)
    else:
        TOOK.observe((clock.now() - one.happened_at).total_seconds())
        _write(one, Welcome.SENT, rule)


def _write(one: Welcome, state: str, rule: WelcomeRule | None = None, code: int = 0) -> None:
    WELCOMED.add(state)
    Welcome.objects.filter(pk=one.pk, state=Welcome.WAITING).update(
        state=state, rule=rule, code=None, code_of_refusal=code, settled_at=clock.now()
    )


def body_of(rule: WelcomeRule, code: str, app: App) -> messages.Welcome:
    """The message of a rule. Files are ready at WeCom but for an outage of days; then they are given now."""
    attachments: list[Attachment] = []
    if rule.picture_url:
        attachments.append(Attachment(msgtype="image", image=Image(pic_url=rule.picture_url)))
    if rule.link.get("url"):
        link = Link(title=rule.link["title"], url=rule.link["url"], desc=rule.link.get("desc", ""))
        attachments.append(Attachment(msgtype="link", link=link))
    attachments += [Attachment(msgtype=kind, **{kind: part}) for kind, part in enclosures.parts(rule, app).items()]
    return messages.Welcome(
        welcome_code=code, text=Text(content=rule.text) if rule.text else None, attachments=attachments
    )


loop = Loop("wecom.welcomes", run_once)
