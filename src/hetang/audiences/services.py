"""Verbs: save and archive audiences, take snapshots with their entered/left facts, refresh live ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.utils import IntegrityError
from pyroaring import BitMap

from hetang.audiences import automatic, catalogues, past, queries, stored
from hetang.audiences.errors import AudienceInUse, NameTaken, OutsideScope, StaleVersion
from hetang.audiences.models import Audience, AudienceSnapshot, AudienceVersion
from hetang.audiences.ports import waiting_uses
from hetang.audiences.reading import parse
from hetang.audiences.rules import InvalidRule, Problem, named_in
from hetang.audiences.schedules import Schedule, next_run
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.platform.models import OrgNode

SOURCE = "hetang.audiences"
AUDIENCES, POND_SETS = 0x6865_7461, 0x6865_7462  # advisory locks: (one of these, row id)


def save(
    actor: Actor,
    *,
    name: str,
    rule: dict[str, Any],
    org_node: OrgNode,
    audience: Audience | None = None,
    description: str = "",
    live: bool = False,
    schedule: Schedule | None = None,
) -> Audience:
    """Create an audience or a new version of one. `audience` carries the version that the editor saw.

    `live`: refreshed once a minute; else, with a `schedule`, at its times.

    Raises InvalidRule, NameTaken, OutsideScope, StaleVersion (somebody saved meanwhile), Forbidden.
    """
    actor.require("audiences:edit")
    scope = actor.own_scope("audiences:edit")
    if not scope.covers(org_node.path) or (audience is not None and not scope.covers(audience.org_node.path)):
        raise OutsideScope
    inside = frozenset({str(audience.public_id)}) if audience else frozenset()
    parse(rule, catalogues.catalogue(rule, fresh=True), inside)
    fields = {"name": name, "rule": rule, "org_node": org_node, "description": description}
    fields |= _refreshed(live, schedule)
    try:
        with transaction.atomic():
            hold(rule)
            hold_ponds(rule)
            saved = _create(actor, fields) if audience is None else _update(audience, fields)
            keep_version(actor, saved)
            changes = {"name": name, "version": saved.version, "rule": rule}
            audit.record(actor, "audience.saved", "audience", saved.public_id, changes, org_node.id)
    except IntegrityError as clash:
        raise _named(clash) from clash
    catalogues.forget()
    return saved


def _refreshed(live: bool, schedule: Schedule | None) -> dict[str, Any]:
    """The fields that say when it is refreshed by itself."""
    if live or schedule is None:
        return {"live": live, "refresh_at": None, "refresh_weekday": None, "next_refresh_at": None}
    following = next_run(schedule, clock.now(), clock.zone())
    return {
        "live": False,
        "refresh_at": schedule.at,
        "refresh_weekday": schedule.weekday,
        "next_refresh_at": following,
    }


def _named(clash: IntegrityError) -> Exception:
    return NameTaken() if "audience_name_once" in str(clash) else clash


def hold(rule: dict[str, Any]) -> None:
    """Keep the audiences that a rule names from being archived until the rule is committed."""
    named = sorted(named_in(rule, "audience"))
    if not named:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "select public_id::text from audiences_audience where public_id::text = any(%s) and archived_at is null"
            " and pond_set_id is null order by id for share",
            [named],
        )
        held = {row[0] for row in cursor.fetchall()}
    gone = [Problem(("rule",), "unknown_audience", {"code": one}) for one in named if one not in held]
    if gone:
        raise InvalidRule(gone)


def hold_ponds(rule: dict[str, Any]) -> None:
    """Keep the ponds that a rule names from going until the rule is committed."""
    named = sorted(named_in(rule, "ponds"))
    if not named:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "select s.public_id::text, p.public_id::text from audiences_pondset s"
            " join audiences_pond p on p.pond_set_id = s.id and p.removed_at is null"
            " where s.archived_at is null and %(named)s && array[s.public_id::text, p.public_id::text]"
            " order by p.id for share",
            {"named": named},
        )
        held = {code for row in cursor.fetchall() for code in row}
    gone = [Problem(("rule",), "unknown_pond", {"code": one}) for one in named if one not in held]
    if gone:
        raise InvalidRule(gone)


def _create(actor: Actor, fields: dict[str, Any]) -> Audience:
    now = clock.now()
    return Audience.objects.create(**fields, created_at=now, updated_at=now, created_by_id=actor.user_id)


def _update(audience: Audience, fields: dict[str, Any]) -> Audience:
    if fields["refresh_at"] is None and audience.automatic_tags.exists():
        fields["live"] = True  # what keeps a tag has to go on
    changed = Audience.objects.filter(id=audience.id, version=audience.version, archived_at=None, pond_set=None).update(
        **fields, version=audience.version + 1, updated_at=clock.now()
    )
    if changed != 1:
        raise StaleVersion
    return Audience.objects.get(id=audience.id)


def keep_version(actor: Actor, audience: Audience) -> None:
    """Write down its rule as that of its version."""
    AudienceVersion.objects.create(
        audience=audience, version=audience.version, rule=audience.rule, at=clock.now(), by_id=actor.user_id
    )


def archive(actor: Actor, audience: Audience, *, though_waiting: bool = False) -> None:
    """Put an audience away; its history stays.

    `though_waiting`: also when unsent broadcasts are written to it (they then need another one). Raises AudienceInUse,
    OutsideScope, StaleVersion, Forbidden.
    """
    _authorise(actor, audience)
    with transaction.atomic():
        changed = Audience.objects.filter(id=audience.id, archived_at=None).update(
            archived_at=clock.now(), **_refreshed(live=False, schedule=None)
        )
        if changed != 1:
            raise StaleVersion
        # After the update: whoever saves a rule that names it holds its row until the rule is there (`hold`).
        names = [user.name for user in queries.used_by(audience)]
        waiting = [] if though_waiting else [use.name for use in waiting_uses(audience.id)]
        tags = list(audience.automatic_tags.order_by("tag__name").values_list("tag__name", flat=True))
        ponds = [one.name for one in queries.ponds_of(audience)]
        if names or waiting or tags or ponds:
            raise AudienceInUse(names, waiting, tags, ponds)
        audit.record(actor, "audience.archived", "audience", audience.public_id, {}, audience.org_node_id)
    catalogues.forget()


def restore(actor: Actor, audience: Audience) -> None:
    """Bring an archived audience back, not refreshed by itself. Raises NameTaken, OutsideScope, StaleVersion,
    Forbidden."""
    _authorise(actor, audience)
    try:
        with transaction.atomic():
            changed = Audience.objects.filter(id=audience.id).exclude(archived_at=None).update(archived_at=None)
            if changed != 1:
                raise StaleVersion
            audit.record(actor, "audience.restored", "audience", audience.public_id, {}, audience.org_node_id)
    except IntegrityError as clash:
        raise _named(clash) from clash
    catalogues.forget()


def _authorise(actor: Actor, audience: Audience) -> None:
    actor.require("audiences:edit")
    if not actor.own_scope("audiences:edit").covers(audience.org_node.path):
        raise OutsideScope


def take_snapshot(audience_id: int) -> AudienceSnapshot:
    """Evaluate the audience now and keep who is in; the newest snapshot, unchanged, if nobody came or went.

    Snapshot and `audience.entered` / `audience.left` facts are one transaction; a second run finds no difference.
    One at a time per audience, so that an older evaluation cannot follow a newer one. Raises EngineUnavailable,
    ServiceError, Audience.DoesNotExist.
    """
    with alone(audience_id):
        audience = Audience.objects.select_related("org_node").get(id=audience_id)
        found = queries.evaluate(audience.rule, queries.scope_of(audience))
        with transaction.atomic():
            return _keep(audience, found)


@contextmanager
def alone(row_id: int, what: int = AUDIENCES) -> Iterator[None]:
    """Hold the lock of an audience (or of a pond set) for the session: a transaction would hold all cursors back while
    the engine works."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s, %s)", [what, row_id])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s, %s)", [what, row_id])


def _keep(audience: Audience, found: BitMap) -> AudienceSnapshot:
    rows = AudienceSnapshot.objects.filter(audience=audience).defer(*past.SETS)
    newest = rows.order_by("-sequence").first()
    before = stored.read_members(newest.pk) if newest else BitMap()
    now = clock.now()
    if newest is None or before != found:
        newest = _write(audience, newest, before, found, now)
    Audience.objects.filter(id=audience.id).update(refreshed_at=now, count=newest.count, problem="")
    automatic.follow(audience, found, now)
    return newest


def _write(
    audience: Audience, newest: AudienceSnapshot | None, before: BitMap, members: BitMap, now: datetime
) -> AudienceSnapshot:
    difference = members ^ before
    before = past.merged_since(newest.at, before) if newest else before
    entered, left = members - before, before - members
    snapshot = AudienceSnapshot(
        audience=audience,
        sequence=newest.sequence + 1 if newest else 1,
        at=now,
        version=audience.version,
        count=len(members),
        entered=len(entered),
        left=len(left),
        entered_members=entered.serialize() if newest else None,
        left_members=left.serialize() if newest else None,
    )
    stored.write(snapshot, members, difference)
    moved = {"audience.entered": entered, "audience.left": left}
    drafts = [
        Draft(
            kind,
            f"{audience.id}:{snapshot.sequence}:{kind}",
            now,
            body={"audience": audience.id},
            members=some.serialize(),
        )
        for kind, some in moved.items()
        if some
    ]
    if drafts:
        outcome = intake.record(SOURCE, drafts)
        if outcome.accepted != len(drafts):
            raise RuntimeError(f"{len(drafts)} facts of a snapshot, {outcome.accepted} taken")
    return snapshot
