"""The one door by which files leave the house.

Every export has an entry in the register before a row of it is read: what, for which purpose, who, how many. Above the
brand's threshold somebody else approves it first. A job writes the file, sealed, below the home; its first row says who
took it, when and for what. It is handed to whoever asked, again and again until its time is over; then the file goes
and the entry stays.

What can be exported the rooms declare in `settings.EXPORTS`; a view that sends rows of its own is a mistake, which a
test looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from itertools import chain, takewhile
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override
from pyroaring import BitMap

from hetang.platform import approvals, audit, clock, files, jobs, organisation, sheets, signed_tokens
from hetang.platform.access import Actor, Forbidden, actor_for
from hetang.platform.brand import brand
from hetang.platform.holdings import Text
from hetang.platform.models import Approval, JobRun, OrgNode, StoredFile, User
from hetang.privacy import limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Export

JOB, LARGE_JOB = "privacy.export", "privacy.export_large"
LARGE = 20_000  # rows: from here on a process of its own
LINK = timedelta(minutes=15)  # how long the link of a page holds; the page makes a new one each time
PURPOSES: dict[str, Text] = {
    "service": gettext_lazy("Serving customers"),
    "campaign": gettext_lazy("Carrying out a campaign"),
    "analysis": gettext_lazy("Analysis within the company"),
    "finance": gettext_lazy("Accounts and settlement"),
    "audit": gettext_lazy("Audit or a check within the company"),
    "authority": gettext_lazy("A court or an authority asks"),
    "other": gettext_lazy("Something else (say what)"),
}
_STEP = 1_000  # rows between two checkpoints
_TOKEN = "export"  # noqa: S105 - a purpose, no secret

Parameters = dict[str, Any]


@dataclass(frozen=True)
class About:
    """What would be exported: a title, label and value of what chose it, in the current language, and what its rows
    are made of: how many, or a query that is counted when somebody asks.

    `of` is 0 for figures that name nobody: they are few, and nobody is asked.
    """

    title: str
    lines: list[tuple[str, str]]
    of: int | QuerySet[Any] = 0

    @cached_property
    def rows(self) -> int:
        """How many rows, exactly: for the register and for approvals."""
        return self.of if isinstance(self.of, int) else self.of.order_by().count()

    def rows_to(self, most: int) -> int:
        """How many rows, counted up to `most` where counting costs something: for a page."""
        return self.of if isinstance(self.of, int) else self.of.order_by()[:most].count()


@dataclass
class Sheet:
    """What is written. Rows are read while the file is written; `people` holds the customers of those read so far."""

    header: Sequence[str]
    rows: Iterable[Sequence[Any]]
    people: BitMap = field(default_factory=BitMap)


@dataclass(frozen=True)
class ExportKind:
    """Something that can be exported by who has `permission`. `personal`: its rows speak of people.

    `choose` makes parameters (JSON, never a personal value) of an address; `about` and `sheet` read by them within what
    the actor may see, and raise PrivacyRefused (thing_gone, ...). `approval` names a kind of `platform.approvals`.
    """

    code: str
    label: Text
    permission: str
    personal: bool
    choose: Callable[[Actor, Mapping[str, str]], Parameters]
    about: Callable[[Actor, Parameters], About]
    sheet: Callable[[Actor, Parameters], Sheet]
    approval: str = ""


class Progress(Protocol):
    """What the job gives: called between rows; raises when the work must end."""

    def __call__(self, done: int, total: int | None = None, stage: str = "") -> None: ...


@cache
def kinds() -> dict[str, ExportKind]:
    """What `settings.EXPORTS` declares, by code."""
    found: list[ExportKind] = []
    for path in settings.EXPORTS:
        found += import_string(path.replace(":", "."))
    return {kind.code: kind for kind in found}


def seen_by(actor: Actor) -> QuerySet[Export]:
    """Entries that the actor may see: her own, and with `privacy:view` those of her part of the organisation."""
    found = Q(user_id=actor.user_id) if actor.user_id is not None else Q(pk__in=[])
    scope = actor.scope("privacy:view")
    if scope.everything:
        return Export.objects.all()
    if not scope.nothing:
        found |= Q(org_node__in=scope.org_nodes().values("pk"))
    return Export.objects.filter(found)


def ask(  # noqa: PLR0917 - who, what, which, why
    actor: Actor, kind: ExportKind, parameters: Parameters, purpose: str, note: str, language: str
) -> Export:
    """Enter an export into the register: it is made at once, or waits for approval where its size demands one.

    Raises Forbidden, and PrivacyRefused: bad_purpose, purpose_text_missing, nothing_to_export, those of the kind.
    """
    actor.require(kind.permission)
    note = note.strip()[:200]
    if purpose not in PURPOSES:
        raise PrivacyRefused("bad_purpose")
    if purpose == "other" and len(note) < 4:
        raise PrivacyRefused("purpose_text_missing")
    about = kind.about(actor, parameters)
    if kind.personal and not about.rows:
        raise PrivacyRefused("nothing_to_export")
    with transaction.atomic():
        export = Export.objects.create(
            kind=kind.code,
            title=about.title[:120],
            personal=kind.personal,
            purpose=purpose,
            note=note,
            parameters=parameters,
            lines=[list(line) for line in about.lines],
            language=language,
            user_id=actor.user_id,
            actor=actor.name,
            org_node=place_of(actor, kind.permission),
            asked_at=clock.now(),
            size=about.rows,
            state=Export.WAITING,
        )
        details = {"number": export.number, "kind": kind.code, "title": export.title, "rows": about.rows}
        audit.record(actor, "export.asked", "export", export.public_id, details | {"purpose": purpose})
        if kind.approval and approvals.rule_for(actor, kind.approval, about.rows, export.org_node):
            approvals.ask(actor, _question(export, kind))
        else:
            _begin(actor, export, kind)
    return export


def go_on(actor: Actor, export: Export) -> None:
    """Make the file of an export that was approved. Raises Forbidden, PrivacyRefused, approvals.ApprovalRefused."""
    kind = kinds()[export.kind]
    _hers(actor, export, kind)
    with transaction.atomic():
        locked = Export.objects.select_for_update().select_related("org_node").get(pk=export.pk)
        if locked.state != Export.WAITING:
            raise PrivacyRefused("export_changed")
        _begin(actor, locked, kind)


def ask_again(actor: Actor, export: Export) -> None:
    """Ask for approval once more: it was refused, nobody answered, or more rows fit by now. Raises as `go_on`."""
    kind = kinds()[export.kind]
    _hers(actor, export, kind)
    about = kind.about(actor, export.parameters)
    with transaction.atomic():
        if not Export.objects.filter(pk=export.pk, state=Export.WAITING).update(size=about.rows):
            raise PrivacyRefused("export_changed")
        export.size = about.rows
        approvals.ask(actor, _question(export, kind))


def withdraw(actor: Actor, export: Export) -> None:
    """Take back one's own export that waits. Raises Forbidden, PrivacyRefused("export_changed")."""
    if actor.user_id is None or actor.user_id != export.user_id:
        raise Forbidden(kinds()[export.kind].permission)
    with transaction.atomic():
        waiting = Export.objects.filter(pk=export.pk, state=Export.WAITING)
        if not waiting.update(state=Export.WITHDRAWN, ended_at=clock.now()):
            raise PrivacyRefused("export_changed")
        if kinds()[export.kind].approval:
            approvals.void(actor, kinds()[export.kind].approval, str(export.public_id))
        audit.record(actor, "export.withdrawn", "export", export.public_id, {"number": export.number})


def delete(actor: Actor, export: Export) -> None:
    """Delete the file before its time: who asked for it, or who manages privacy. Raises Forbidden, PrivacyRefused."""
    if actor.user_id is None or actor.user_id != export.user_id:
        actor.require_own_at("privacy:manage", export.org_node)
    with transaction.atomic():
        if not end(export, "deleted"):
            raise PrivacyRefused("export_changed")
        audit.record(actor, "export.deleted", "export", export.public_id, {"number": export.number})
    remove_files()


def approval_of(export: Export) -> Approval | None:
    """The newest question about an export."""
    kind = kinds().get(export.kind)
    return approvals.latest(kind.approval, str(export.public_id)) if kind and kind.approval else None


def obstacle(export: Export, approval: Approval | None) -> str:
    """Why a waiting export cannot be made now: a code of ApprovalRefused, empty when it can."""
    if approval is None:
        return "needed"
    return approvals.obstacle(approval, approvals.hash_of(content_of(export)), export.size)


def content_of(export: Export) -> dict[str, Any]:
    """What an approval is for."""
    return {
        "number": export.number,
        "kind": export.kind,
        "parameters": export.parameters,
        "lines": export.lines,
        "purpose": export.purpose,
        "note": export.note,
    }


def place_of(actor: Actor, permission: str) -> OrgNode:
    """The lowest place above everything that the actor reaches with a permission."""
    scope = actor.scope(permission)
    if scope.everything or not scope.paths:
        return organisation.root()
    parts = [path.split(".") for path in scope.paths]
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return OrgNode.objects.get(path=".".join(level[0] for level in levels).rstrip(".") + ".")


# making ---------------------------------------------------------------------------------------------------------------


class TooMany(Exception):
    """More rows fit than may be written without approval."""


def make(export_id: int, progress: Progress) -> Export:
    """Write the file of an export that was begun; may be repeated. Raises what `progress` raises."""
    export = Export.objects.select_related("user", "org_node").get(pk=export_id)
    if export.state != Export.MAKING:
        return export
    _drop_leftovers(export)
    why = ""
    try:
        with override(export.language), timezone.override(clock.zone()):
            _write(export, progress)
    except TooMany:
        why = "too_many"
    except Forbidden:
        why = "forbidden"
    except PrivacyRefused as refused:
        why = refused.code
    if why:
        _fail(Export.objects.filter(pk=export.pk), why)
    export.refresh_from_db()
    return export


def _write(export: Export, progress: Progress) -> None:
    kind = kinds()[export.kind]
    actor = actor_for(export.user) if export.user else None
    if actor is None or not actor.can(kind.permission):  # she may have lost it since she asked
        raise Forbidden(kind.permission)
    sheet = kind.sheet(actor, export.parameters)
    counted = _Counted(sheet.rows, export, progress)
    rows = chain([[watermark(export)], list(sheet.header)], counted)
    stored = files.store(_file_name(export), (line.encode() for line in sheets.lines(rows)), export.user)
    now = clock.now()
    with transaction.atomic():
        done = Export.objects.filter(pk=export.pk, state=Export.MAKING).update(
            state=Export.READY,
            file=stored,
            rows=counted.count,
            bytes=stored.bytes,
            sha256=stored.sha256,
            people=sheet.people.serialize() if kind.personal else None,
            ready_at=now,
            expires_at=now + timedelta(days=limits.current().export_days),
        )
        if done:
            details = {"number": export.number, "rows": counted.count, "bytes": stored.bytes}
            audit.record(actor, "export.made", "export", export.public_id, details)
    if not done:
        files.remove(stored)


class _Counted:
    """Rows as they pass: counted, never more than allowed, with a checkpoint now and then."""

    def __init__(self, rows: Iterable[Sequence[Any]], export: Export, progress: Progress) -> None:
        self._rows, self._export, self._progress = rows, export, progress
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        most = self._export.most_rows
        for row in self._rows:
            if most is not None and self.count >= most:
                raise TooMany
            if self.count % _STEP == 0:
                self._progress(self.count, max(self._export.size, self.count), "writing")
            self.count += 1
            yield row


def watermark(export: Export) -> str:
    """The first row of the file: whose copy this is. In the current language and zone."""
    values = {
        "brand": brand().name,
        "number": export.number,
        "who": export.actor,
        "when": timezone.localtime(clock.now()).strftime("%Y-%m-%d %H:%M"),
        "purpose": PURPOSES[export.purpose],
    }
    return _("%(brand)s · export %(number)s · %(who)s · %(when)s · %(purpose)s · for this purpose only") % values


def _begin(actor: Actor, export: Export, kind: ExportKind) -> None:
    """From waiting to making, in the caller's transaction and past the check. Raises approvals.ApprovalRefused."""
    most = None
    if kind.approval:
        most = approvals.free_up_to(actor, kind.approval, export.org_node)
        approval = approvals.latest(kind.approval, str(export.public_id))
        approvals.use(
            actor,
            kind.approval,
            str(export.public_id),
            content=content_of(export),
            size=export.size,
            node=export.org_node,
        )
        if most is not None and approval is not None:
            most = max(most, int(approval.size * approvals.GROWTH))
    job = jobs.enqueue(
        LARGE_JOB if export.size > LARGE else JOB,
        f"{export.number} {export.title}",
        {"export": export.pk},
        User.objects.filter(pk=actor.user_id or 0).first(),
    )
    begun = Export.objects.filter(pk=export.pk, state=Export.WAITING)
    if not begun.update(state=Export.MAKING, most_rows=most, job=job):
        raise PrivacyRefused("export_changed")


def _question(export: Export, kind: ExportKind) -> approvals.Question:
    return approvals.Question(
        kind=kind.approval,
        target_id=str(export.public_id),
        title=f"{export.number} {export.title}",
        org_node=export.org_node,
        content=content_of(export),
        size=export.size,
        note=export.note,
    )


def _hers(actor: Actor, export: Export, kind: ExportKind) -> None:
    if actor.user_id is None or actor.user_id != export.user_id:
        raise Forbidden(kind.permission)
    actor.require(kind.permission)


def _file_name(export: Export) -> str:
    return f"export-{export.public_id}.csv"


def _drop_leftovers(export: Export) -> None:
    """Files of an earlier try that died after it had stored one."""
    kept = Export.objects.filter(file__isnull=False).values("file")
    for stored in StoredFile.objects.filter(name=_file_name(export)).exclude(pk__in=kept):
        files.remove(stored)


# handing out and ending -----------------------------------------------------------------------------------------------


def token_for(actor: Actor, export: Export) -> str:
    """The token of a link by which this actor, logged in, gets the file within the next quarter of an hour."""
    body = export.public_id.bytes + (actor.user_id or 0).to_bytes(8, "big")
    return signed_tokens.make(_TOKEN, body, clock.wall() + LINK)


def by_token(actor: Actor, token: str) -> Export | None:
    """The export of a link that was made for this actor; None for any other."""
    body = signed_tokens.read(_TOKEN, token)
    if body is None or actor.user_id is None or body[16:] != actor.user_id.to_bytes(8, "big"):
        return None
    return Export.objects.select_related("file").filter(public_id=UUID(bytes=body[:16]), user_id=actor.user_id).first()


def hand_out(actor: Actor, export: Export) -> Iterator[bytes]:
    """The file in pieces, for who asked for it and still may; noted and counted before the first piece.

    Raises Forbidden, PrivacyRefused("export_over").
    """
    _hers(actor, export, kinds()[export.kind])
    now = clock.now()
    try:
        with transaction.atomic():
            ready = Export.objects.filter(pk=export.pk, state=Export.READY, expires_at__gt=now)
            if export.file is None or not ready.update(downloads=F("downloads") + 1, downloaded_at=now):
                raise PrivacyRefused("export_over")
            pieces = files.read(export.file)
            first = next(pieces, b"")
            details = {"number": export.number, "rows": export.rows}
            audit.record(actor, "export.downloaded", "export", export.public_id, details)
    except (FileNotFoundError, files.DamagedFile) as gone:
        raise PrivacyRefused("export_over") from gone
    return chain([first], pieces)


def end(export: Export, why: str) -> bool:
    """The file is not handed out any more; whether it still was. `remove_files` takes its bytes away."""
    ready = Export.objects.filter(pk=export.pk, state=Export.READY)
    return bool(ready.update(state=Export.GONE, why=why, people=None, ended_at=clock.now()))


def tidy() -> int:
    """End what is over: files past their time, exports that nobody went on with or whose job died. A few statements."""
    now = clock.now()
    over = Export.objects.filter(state=Export.READY, expires_at__lte=now)
    over.update(state=Export.GONE, why="expired", people=None, ended_at=now)
    Export.objects.filter(state=Export.WAITING, asked_at__lte=now - 3 * approvals.HOLDS).update(
        state=Export.WITHDRAWN, why="nobody", ended_at=now
    )
    settle(Export.objects.all())
    return remove_files()


def settle(among: QuerySet[Export]) -> None:
    """Exports whose job has ended without them have failed."""
    ended = JobRun.objects.filter(state__in=(JobRun.DONE, JobRun.FAILED, JobRun.CANCELLED))
    _fail(among.filter(job__in=ended.values("pk")), "broken")


def remove_files() -> int:
    """Take away the bytes of files that are not handed out any more; returns how many."""
    count = 0
    for export in Export.objects.filter(state=Export.GONE, file__isnull=False).select_related("file"):
        if export.file is not None:
            files.remove(export.file)
            count += 1
    return count


def _fail(among: QuerySet[Export], why: str) -> None:
    among.filter(state=Export.MAKING).update(state=Export.FAILED, why=why, ended_at=clock.now())
