"""The first sync, and every later one: departments and staff, tags, friendships and groups, as the job `wecom.sync`.

A later one finds and repairs what events did not tell: it is the nightly reconciliation. WeCom is asked side by side,
as much as its limits allow; two writers, each with parts of its own, keep what was found together with the place where
it goes on (`SyncPart`), so that a worker that dies costs nothing but the pages under way. While one of them waits for
PostgreSQL, the other one prepares. Memory does not grow with the corp.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from hetang.communities import services as communities
from hetang.connectors.wecom import corp_tags, listing, pairs, staffing, tagging
from hetang.connectors.wecom.client import Client, client_of, default_app
from hetang.connectors.wecom.feed import Feed
from hetang.connectors.wecom.listing import Found
from hetang.connectors.wecom.models import App, Skipped, SyncPart, SyncRun
from hetang.connectors.wecom.protocol.directory import FOLLOW_USERS
from hetang.connectors.wecom.relations import ensure_staff
from hetang.platform import clock
from hetang.platform.jobs import Cancelled, HandedBack, Work, job

WRITERS = 2
ROWS_AT_ONCE = 2000  # kept in one transaction, well under a second
GATHER_S = 0.25
_COLLECTED_EVERY = 100_000  # objects
SLACK = timedelta(seconds=3)  # WeCom's seconds and clock against ours: within it an event counts as the newer word


@dataclass
class _Progress:
    """The run, what was counted so far, and how the console is told."""

    run: SyncRun
    work: Work
    counts: dict[str, int] = field(default_factory=dict)
    likely_new: bool = True  # as long as all friendships were

    def add(self, **more: int) -> None:
        for name, number in more.items():
            self.counts[name] = self.counts.get(name, 0) + number


@job("wecom.sync", own_process=True)  # the worker's lanes, welcomes above all, must not wait for its interpreter
def sync(work: Work) -> dict[str, Any]:
    """Bring in everything that the default corp lists and this app may see. Returns the counts.

    Stages `staff`, `tags`, `customers`, `groups`, `gone`. What WeCom does not tell is kept as `Skipped` with its
    reason.
    """
    app = work_app(work)
    run = _begin(app, work)
    progress = _Progress(run, work, dict(run.counts))
    try:
        with _seldom_collected():
            _carry_out(app, progress)
    except HandedBack:
        raise  # another process goes on with it
    except BaseException as problem:
        _end(run, SyncRun.CANCELLED if isinstance(problem, Cancelled) else SyncRun.FAILED, progress)
        raise
    _end(run, SyncRun.DONE, progress)
    return {**progress.counts, "skipped": run.skipped.count()}


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """What a page consists of goes away with it: looking for cycles among it took a fifth of the interpreter's time."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def work_app(work: Work) -> App:
    """The app by which a job works: the one that it names, or the default one. Raises NotConnected."""
    named = work.arguments.get("app")
    return App.objects.select_related("corp").get(pk=named) if named else default_app()


def _begin(app: App, work: Work) -> SyncRun:
    """The run that an earlier attempt of this job left, or a new one. Another job's run that is open has ended."""
    with transaction.atomic():
        open_runs = SyncRun.objects.select_for_update().filter(corp=app.corp, state=SyncRun.RUNNING)
        for run in open_runs:
            if run.job_run_id == work.job_run_id:
                return run
        open_runs.update(state=SyncRun.FAILED, ended_at=clock.now())
        return SyncRun.objects.create(corp=app.corp, job_run_id=work.job_run_id, begun_at=clock.now() - SLACK)


def _end(run: SyncRun, state: str, progress: _Progress) -> None:
    SyncRun.objects.filter(pk=run.pk, state=SyncRun.RUNNING).update(
        state=state, ended_at=clock.now(), counts=progress.counts
    )
    SyncPart.objects.filter(run=run).delete()


def _carry_out(app: App, progress: _Progress) -> None:
    client, run = client_of(app), progress.run
    if run.stage == "staff":
        progress.counts = {"relations": 0, "new": 0, "back": 0, "changed": 0, "groups": 0, "refused": 0, "gone": 0}
        progress.counts["staff"] = staffing.bring_in(client, app.corp, progress.work)
        _step(progress, "tags")
    if run.stage == "tags":
        progress.counts["tags"] = corp_tags.bring_in(client, app.corp)
        _step(progress, "parts")
    if run.stage == "parts":
        _make_parts(client, app, progress)
    if run.stage == "pages":
        _read_pages(client, app, progress)
        _step(progress, "gone")
    _note_gone(app, progress)


def _step(progress: _Progress, stage: str) -> None:
    progress.run.stage = stage
    progress.run.counts = progress.counts
    progress.run.save(update_fields=["stage", "counts"])
    progress.work.checkpoint()


def _make_parts(client: Client, app: App, progress: _Progress) -> None:
    """What will be asked for, written down before the first page is."""
    members = client.call(FOLLOW_USERS).follow_user
    ensure_staff(members, simulated=app.corp.simulated)
    groups = listing.groups_listed(client, members)
    progress.counts |= {"members": len(members), "groups_listed": sum(len(ids) for ids in groups.values())}
    with transaction.atomic():
        parts = listing.parts(progress.run, members, groups, at_once=app.corp.concurrency)
        SyncPart.objects.bulk_create(parts, batch_size=500)
        _step(progress, "pages")


def _read_pages(client: Client, app: App, progress: _Progress) -> None:
    run, codes, at_once = progress.run, corp_tags.codes(app.corp), max(1, app.corp.concurrency)
    parts = list(SyncPart.objects.filter(run=run, done=False).order_by("id"))
    kinds = (SyncPart.CUSTOMERS, SyncPart.GROUPS)
    by_kind = {kind: iter([part for part in parts if part.kind == kind]) for kind in kinds}
    writers = min(WRITERS, at_once)

    def write(stop: threading.Event) -> None:
        with Feed(
            by_kind,
            lambda part, patience: listing.ask(client, part, patience),
            at_once=-(-at_once // writers),
            checkpoint=progress.work.checkpoint,
        ) as feed:
            _write_pages(app, progress, feed, codes, stop)

    try:
        _side_by_side(write, writers)
    finally:
        run.refresh_from_db(fields=["counts"])
        progress.counts = dict(run.counts)


def _side_by_side(write: Callable[[threading.Event], None], count: int) -> None:
    """Run it in so many threads, the caller's own among them. The first problem ends all of them and is raised."""
    stop, problems = threading.Event(), list[BaseException]()

    def turn() -> None:
        try:
            write(stop)
        except BaseException as problem:
            problems.append(problem)
            stop.set()

    def beside() -> None:
        turn()
        connection.close()

    threads = [threading.Thread(target=beside, name=f"writer {number}") for number in range(1, count)]
    for thread in threads:
        thread.start()
    turn()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _write_pages(
    app: App, progress: _Progress, feed: Feed[SyncPart, Found], codes: dict[str, str], stop: threading.Event
) -> None:
    begun_at, waiting = time.monotonic(), list[Found]()
    for found in feed:
        if stop.is_set():
            return
        if found is not None:
            waiting.append(found)
        full = sum(one.size for one in waiting) >= ROWS_AT_ONCE
        if waiting and (full or found is None or time.monotonic() - begun_at > GATHER_S):
            _keep(app, progress, waiting, codes)
            waiting, begun_at = [], time.monotonic()
    if waiting:
        _keep(app, progress, waiting, codes)


def _keep(app: App, progress: _Progress, found: Sequence[Found], codes: dict[str, str]) -> None:
    """Keep what was found and where each part goes on, in one transaction."""
    run = progress.run
    customers = [one for each in found for one in each.customers]
    groups = [each for each in found if each.group is not None]
    more = {"groups": len(groups)}
    with transaction.atomic():
        _without_waiting_for_the_disk()
        if customers:
            asked_at = min(each.asked_at for each in found if each.customers) - SLACK
            kept = pairs.keep_listed(app.corp, run.pk, customers, asked_at, codes, progress.likely_new)
            progress.likely_new = kept.new == kept.listed
            more |= {"relations": kept.listed, "new": kept.new, "back": kept.back, "changed": kept.changed}
            more["refused"] = len(kept.refused)
            _skip(run, [listing.refused(key, reason) for key, reason in kept.refused])
        communities.keep(
            [listing.told(each.group, app.corp, each.asked_at, each.part.status) for each in groups if each.group]
        )
        _skip(run, [skipped for each in found for skipped in each.skipped])
        _move(list({each.part.pk: each for each in found}.values()))
        progress.counts = _count(run, more)
    progress.work.progress(progress.counts["relations"], None, "customers")


def _count(run: SyncRun, more: Mapping[str, int]) -> dict[str, int]:
    """Add to the run's counts, last in the transaction, since the other writer waits from here on. Returns them."""
    known: dict[str, int] = SyncRun.objects.select_for_update().values_list("counts", flat=True).get(pk=run.pk)
    counts = {**known, **{name: known.get(name, 0) + number for name, number in more.items()}}
    SyncRun.objects.filter(pk=run.pk).update(counts=counts)
    return counts


def _without_waiting_for_the_disk() -> None:
    """A page that a power cut takes back is asked for again: what was found and the place where its part goes on are
    lost together, and whoever read it afterwards has committed afterwards, too."""
    with connection.cursor() as cursor:
        cursor.execute("set local synchronous_commit = off")


def _move(newest: Sequence[Found]) -> None:
    """Where each part goes on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update wecom_syncpart p set cursor = n.cursor, done = n.done"
            " from unnest(%s::bigint[], %s::text[], %s::boolean[]) as n(id, cursor, done) where p.id = n.id",
            [[each.part.pk for each in newest], [each.cursor for each in newest], [each.last for each in newest]],
        )


def _skip(run: SyncRun, some: Sequence[Skipped]) -> None:
    for one in some:
        one.run, one.at = run, clock.now()
    Skipped.objects.bulk_create(some, ignore_conflicts=True)


def _note_gone(app: App, progress: _Progress) -> None:
    """Friendships and groups that a whole pass did not see. Members that were skipped are left alone."""
    run = progress.run
    skipped = set(run.skipped.filter(kind="member").values_list("name", flat=True))
    for members in _members_of_parts(run):
        asked = [member for member in members if member not in skipped]
        while gone := pairs.note_gone(app.corp, run.pk, asked, run.begun_at):
            progress.add(gone=gone)
            progress.work.progress(progress.counts["gone"], None, "gone")
    missing = listing.groups_gone(app.corp, run)
    progress.add(groups_gone=communities.dissolve(missing, run.begun_at))
    tagging.queue_differing(app.corp)


def _members_of_parts(run: SyncRun) -> Iterator[list[str]]:
    yield from SyncPart.objects.filter(run=run, kind=SyncPart.CUSTOMERS).values_list("ids", flat=True).iterator()
