"""The channel `wecom` of `touch`: mass-message tasks that staff confirm. Implements `touch.ports.TaskChannel`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from hetang.connectors.wecom.client import Client, client_of, default_app
from hetang.connectors.wecom.errors import (
    BUSY,
    CONCURRENCY,
    RATE_LIMIT,
    Action,
    NotConnected,
    NotSent,
    Unanswered,
    WeComError,
)
from hetang.connectors.wecom.models import RefusedRecipient
from hetang.connectors.wecom.protocol import media, messages
from hetang.connectors.wecom.protocol.messages import Attachment, Image, Link, MessageId, TaskQuery, Text
from hetang.platform import clock
from hetang.touch.ports import OutcomeUnknown, PersonResult, PersonState, Refused, SenderState, TaskRequest

PEOPLE_PER_TASK = 10_000
_SPAN = timedelta(days=30)  # get_groupmsg_list_v2 looks at one month at most
_SLACK = timedelta(minutes=2)  # clocks of the two sides
_SIMULATED_SLACK = timedelta(days=1)  # a simulator's clock runs on where ours is held still (tests, `demo --check`)
_PAGE_OF_TASKS, _PAGE_OF_RESULTS = 100, 1000
_SENT_BY_MEMBER = 2
_PERSON_STATES: dict[int, PersonState] = {0: "unsent", 1: "sent", 2: "not_friend", 3: "limit"}
_CODES = {
    RATE_LIMIT: "rate_limited",
    CONCURRENCY: "rate_limited",
    41048: "nobody_to_send_to",
    40003: "sender_unknown",
    60111: "sender_unknown",
    84074: "sender_without_customer_contact",
    45002: "text_too_long",
    40007: "image_gone",
    41047: "task_unknown",
}


class WeComChannel:
    """Speaks for the default corp's app, which is looked up at each call: set-up may change while a worker runs."""

    people_per_task = PEOPLE_PER_TASK

    def create_task(self, request: TaskRequest) -> str:
        """Make one task for one sender. Raises Refused or OutcomeUnknown."""
        task = messages.TaskRequest(
            chat_type="single",
            sender=request.sender,
            external_userid=list(request.recipients),
            text=Text(content=_marked_text(request)),
            attachments=[_attachment(one) for one in request.attachments],
        )
        with _outcomes():
            made = _client().call(messages.MAKE_TASK, task)
        refused = (RefusedRecipient(msgid=made.msgid, external_userid=one) for one in made.fail_list)
        RefusedRecipient.objects.bulk_create(refused, ignore_conflicts=True)
        return made.msgid

    def find_task(self, mark: str, since: datetime) -> str | None:
        """The task that carries `mark`, made at or after `since`; None while WeCom does not list it (it may lag)."""
        pattern = re.compile(re.escape(mark) + r"(?![A-Za-z0-9_-])")  # /l/ab1 must not be found in /l/ab12
        with _outcomes():
            app = default_app()
            slack = _SIMULATED_SLACK if app.corp.simulated else _SLACK
            for message in _messages(client_of(app), since - slack, clock.now() + slack):
                if any(pattern.search(text) for text in _texts(message)):
                    return message.msgid
        return None

    def task_states(self, provider_id: str) -> list[SenderState]:
        """Who of the task's senders has confirmed."""
        with _outcomes():
            pages = _client().pages(messages.TASK_SENDERS, TaskQuery(msgid=provider_id), _PAGE_OF_RESULTS)
            return [
                SenderState(one.userid, one.status == _SENT_BY_MEMBER, _at(one.send_time))
                for page in pages
                for one in page.task_list
            ]

    def results(self, provider_id: str, sender: str) -> list[PersonResult]:
        """The state of every recipient of this sender; those whom WeCom did not take are not his friends.

        Where the answer to the task's making was lost, so is the list of those: they are then absent.
        """
        refused = RefusedRecipient.objects.filter(msgid=provider_id).values_list("external_userid", flat=True)
        found: list[PersonResult] = [PersonResult(one, "not_friend") for one in refused]
        asked = messages.ResultsQuery(msgid=provider_id, userid=sender)
        with _outcomes():
            for page in _client().pages(messages.TASK_RESULTS, asked, _PAGE_OF_RESULTS):
                found += [
                    PersonResult(one.external_userid, _PERSON_STATES.get(one.status, "unsent"), _at(one.send_time))
                    for one in page.send_list
                ]
        return found

    def remind(self, provider_id: str) -> None:
        """Remind those who have not confirmed. Raises Refused("reminder_limit") over three in 24 hours."""
        try:
            with _outcomes():
                _client().call(messages.REMIND, MessageId(msgid=provider_id))
        except Refused as refused:
            if refused.code == "rate_limited":
                raise Refused("reminder_limit", permanent=False) from None
            raise

    def cancel(self, provider_id: str) -> None:
        """Stop what is not yet sent."""
        with _outcomes():
            _client().call(messages.CANCEL, MessageId(msgid=provider_id))

    def upload_image(self, data: bytes, name: str) -> str:
        """The permanent address of a picture (JPG or PNG, at most 2 MB)."""
        with _outcomes():
            return _client().call(media.UPLOAD_IMAGE, upload=(name, data)).url


def channel() -> WeComChannel:
    """Factory named in `settings.CHANNELS`."""
    return WeComChannel()


def _client() -> Client:
    return client_of(default_app())


@contextmanager
def _outcomes() -> Iterator[None]:
    """Translate what happened into the words of the port."""
    try:
        yield
    except Unanswered as problem:
        raise OutcomeUnknown(str(problem)) from None
    except NotSent as problem:
        raise Refused("unreachable", str(problem), permanent=False) from None
    except NotConnected as problem:
        raise Refused("not_connected", str(problem), permanent=False) from None
    except WeComError as problem:
        if problem.code == BUSY:
            raise OutcomeUnknown(str(problem)) from None
        code = _CODES.get(problem.code, f"wecom_{problem.code}")
        permanent = problem.action in {Action.PERMANENT, Action.SKIP}
        raise Refused(code, str(problem), permanent=permanent) from None


def _marked_text(request: TaskRequest) -> str:
    """The text, with the mark appended if neither text nor a link attachment carries it."""
    linked = any(one.get("type") == "link" and request.link in str(one.get("url")) for one in request.attachments)
    if linked or request.link in request.text:
        return request.text
    return f"{request.text}\n{request.link}".strip()


def _attachment(one: dict[str, Any]) -> Attachment:
    if one.get("type") == "image":
        return Attachment(msgtype="image", image=Image(pic_url=one["image"]))
    if one.get("type") == "link":
        fields = {name: one[name] for name in ("desc", "picurl") if one.get(name)}
        return Attachment(msgtype="link", link=Link(title=one.get("title", ""), url=one.get("url", ""), **fields))
    raise Refused("attachment_kind", str(one.get("type")))


def _messages(client: Client, start: datetime, end: datetime) -> Iterator[messages.GroupMessage]:
    """Messages made in a time, newest month first."""
    while end > start:
        begin = max(start, end - _SPAN)
        asked = messages.TasksRequest(
            chat_type="single", start_time=int(begin.timestamp()), end_time=int(end.timestamp()), filter_type=0
        )
        for page in client.pages(messages.TASKS, asked, _PAGE_OF_TASKS):
            yield from page.group_msg_list
        end = begin


def _texts(message: messages.GroupMessage) -> Iterator[str]:
    yield str(message.text.get("content", ""))
    for attachment in message.attachments:
        link = attachment.get("link")
        if isinstance(link, dict):
            yield str(link.get("url", ""))


def _at(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
