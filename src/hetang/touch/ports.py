"""What a channel must be able to do for touches to leave the house. Connectors implement it; domains never import them.

There are two kinds. A *task channel* (WeCom) only creates a task that a member of staff confirms on the phone: the
unit is one text, one sender, at most `people_per_task` people, and the provider has no idempotency key, so every task
carries a mark (its own short link) by which an unknown outcome is found again. A *direct channel* (SMS, mail, a
provider in this process) delivers message by message.

Messages that others sent on a channel (`OutsideMessages`) use the same caps.

`settings.CHANNELS` maps a channel's name to the dotted path `package.module:factory` of a factory without arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from django.conf import settings
from django.utils.module_loading import import_string


class OutcomeUnknown(Exception):
    """The call may or may not have taken effect (time-out, lost connection, 5xx). Never resend blindly."""


class Refused(Exception):
    """The provider said no and did nothing. `permanent`: the same request will never be accepted."""

    def __init__(self, code: str, detail: str = "", *, permanent: bool = True) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """One task: one text by one sender to at most `people_per_task` people.

    `text` is final and already contains `link` unless a link attachment points at it. `attachments` are at most nine of
    `{"type": "image", "image": <what upload_image returned>}` and
    `{"type": "link", "title": str, "url": str, "desc": str, "picurl": str}` (`desc`, `picurl` may be missing).
    """

    sender: str  # userid of the member of staff
    recipients: list[str]  # external_userid
    text: str
    link: str  # the task's own short link (absolute URL): its mark
    attachments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SenderState:
    """Whether a sender confirmed a task."""

    userid: str
    confirmed: bool
    at: datetime | None = None


PersonState = Literal["unsent", "sent", "not_friend", "limit"]


@dataclass(frozen=True, slots=True)
class PersonResult:
    """What became of one recipient of a task. `limit`: the platform's own cap was reached."""

    external_userid: str
    state: PersonState
    at: datetime | None = None


@runtime_checkable
class TaskChannel(Protocol):
    """A channel whose unit is a task that staff confirm."""

    people_per_task: int

    def create_task(self, request: TaskRequest) -> str:
        """Create the task; returns the provider's id. Raises `Refused` or `OutcomeUnknown`."""
        ...

    def find_task(self, mark: str, since: datetime) -> str | None:
        """The provider's id of the task whose text or link attachment contains `mark`, created at or after `since`.
        None: not (yet) there. Raises `OutcomeUnknown` if the provider cannot be asked."""
        ...

    def task_states(self, provider_id: str) -> list[SenderState]:
        """Who of the task's senders confirmed it."""
        ...

    def results(self, provider_id: str, sender: str) -> list[PersonResult]:
        """The state of every recipient of this sender."""
        ...

    def remind(self, provider_id: str) -> None:
        """Remind the senders who have not confirmed. Raises `Refused("reminder_limit")` over three in 24 hours."""
        ...

    def cancel(self, provider_id: str) -> None:
        """Stop what is not yet sent. Doing it twice is harmless."""
        ...

    def upload_image(self, data: bytes, name: str) -> str:
        """Make an image usable in attachments; returns what an attachment's `image` holds."""
        ...


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """One message. `key` is the same for every attempt at this touch: an idempotent provider accepts it once."""

    key: str
    address: str
    text: str


DirectState = Literal["sent", "failed"]


@dataclass(frozen=True, slots=True)
class DirectOutcome:
    """What the provider did with one message. `reason` is a short code where it failed."""

    key: str
    state: DirectState
    reason: str = ""


@runtime_checkable
class DirectChannel(Protocol):
    """A channel that delivers message by message, at most `people_per_call` in one call."""

    people_per_call: int  # at most 500
    identity_kind: str  # the identity that is the address: "phone", "email", ...
    idempotent: bool  # True: a key is accepted once, so an unknown batch may simply be sent again

    def send(self, batch: list[DirectRequest]) -> list[DirectOutcome]:
        """Deliver a batch; one outcome per request. Raises `Refused` (nothing happened) or `OutcomeUnknown`."""
        ...

    def find(self, keys: list[str]) -> list[DirectOutcome]:
        """What is known of these keys (absent: not seen). Used where the provider is not idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class OutsideMessages:
    """What was sent on `channel`, past Hetang, to customers.

    `sql` selects `(customer, slot_at, platform)`, one row a message however often the provider told us of it, with its
    parameters; `platform`: whether it counts to the platform's cap.
    """

    channel: str
    sql: str
    params: list[Any]


def outside_messages(first: datetime, last: datetime) -> list[OutsideMessages]:
    """What others sent between two moments, both excluded; empty where nobody did. `settings.OUTSIDE_MESSAGES` names
    the functions of connectors that know: `(first, last) -> OutsideMessages | None`."""
    sources = [import_string(path.replace(":", ".")) for path in settings.OUTSIDE_MESSAGES]
    found = [source(first, last) for source in sources]
    return [one for one in found if one is not None]
