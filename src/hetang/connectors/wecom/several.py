"""Verbs on several corps and apps: add, let one only listen, choose the corp that sends, remove.

The default corp sends, by its first app that does not only listen. None of these verbs takes that away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from hetang.connectors.wecom import webhook
from hetang.connectors.wecom.client import app_of
from hetang.connectors.wecom.models import App, CallbackMessage, Corp, GroupWelcome, Welcome
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.platform.sealing import seal

CHUNK = 5_000
EDIT = "settings:edit"


class Refused(Exception):
    """`code`: `known`, `simulated`, `secret`, `last` (nobody would call), `sends`, `in_use`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Said:
    """An app as somebody describes it; one that only listens needs no secret."""

    corpid: str
    agentid: int
    name: str = ""
    secret: str = ""
    listen_only: bool = False


def add(actor: Actor, said: Said) -> App:
    """Add an app, and its corp where that is new; the default corp stays. Raises Forbidden, Refused."""
    actor.require_everywhere(EDIT)
    if not said.secret and not said.listen_only:
        raise Refused("secret")
    if Corp.objects.filter(simulated=True).exists():
        raise Refused("simulated")
    try:
        with transaction.atomic():
            corp, _ = Corp.objects.get_or_create(
                corpid=said.corpid, defaults={"name": said.name, "created_at": clock.now()}
            )
            app = App.objects.create(
                corp=corp,
                agentid=said.agentid,
                name=said.name,
                secret=seal(said.secret.encode()),
                listen_only=said.listen_only,
                changed_at=clock.now(),
            )
            _note(actor, "wecom.app_added", app, listen_only=said.listen_only)
    except IntegrityError as clash:
        raise Refused("known") from clash
    webhook.forget()
    return app


@transaction.atomic
def listen(actor: Actor, app: App, on: bool) -> None:
    """Let an app only listen, or call again. Raises Forbidden, Refused."""
    actor.require_everywhere(EDIT)
    mine = _locked(app)
    if mine.listen_only == on:
        return
    if on and not _callers(mine.corp).exclude(pk=mine.pk).exists():
        raise Refused("last")
    App.objects.filter(pk=mine.pk).update(listen_only=on, changed_at=clock.now())
    _note(actor, "wecom.app_listens", mine, on=[not on, on])


@transaction.atomic
def make_default(actor: Actor, corp: Corp) -> None:
    """Let this corp send from now on. Raises Forbidden, Refused."""
    actor.require_everywhere(EDIT)
    list(Corp.objects.select_for_update().order_by("id"))
    app = app_of(corp.pk)
    if app is None:
        raise Refused("last")
    if Corp.objects.filter(is_default=True).exclude(pk=corp.pk).update(is_default=False):
        Corp.objects.filter(pk=corp.pk).update(is_default=True)
        _note(actor, "wecom.default_chosen", app)


def remove(actor: Actor, app: App) -> None:
    """Take an app away with its events, and a corp that was not synced with its last app. Raises Forbidden, Refused."""
    actor.require_everywhere(EDIT)
    _refuse_to_remove(app)
    kept: list[QuerySet[Any]] = [CallbackMessage.objects.filter(app=app), Welcome.objects.filter(app=app)]
    for rows in kept:
        while ids := list(rows.order_by("id").values_list("id", flat=True)[:CHUNK]):
            rows.filter(pk__in=ids).delete()
    try:
        with transaction.atomic():
            mine = _locked(app)
            _refuse_to_remove(mine)
            _note(actor, "wecom.app_removed", mine)
            mine.delete()
            if not mine.corp.apps.exists() and not mine.corp.is_default and not mine.corp.runs.exists():
                mine.corp.delete()
    except ProtectedError as held:
        raise Refused("in_use") from held
    webhook.forget()


def _refuse_to_remove(app: App) -> None:
    others = App.objects.filter(corp_id=app.corp_id).exclude(pk=app.pk)
    if (
        not app.listen_only
        and not _callers(app.corp).exclude(pk=app.pk).exists()
        and (app.corp.is_default or others.exists())
    ):
        raise Refused("sends" if app.corp.is_default else "last")
    if GroupWelcome.objects.filter(app=app).exists():
        raise Refused("in_use")


def _locked(app: App) -> App:
    """The app, with its corp locked: two changes at once leave somebody who calls."""
    Corp.objects.select_for_update().get(pk=app.corp_id)
    return App.objects.select_related("corp").get(pk=app.pk)


def _callers(corp: Corp) -> QuerySet[App]:
    return App.objects.filter(corp=corp, listen_only=False)


def _note(actor: Actor, action: str, app: App, **changes: object) -> None:
    audit.record(actor, action, "wecom", app.corp.corpid, {"agentid": app.agentid, **changes})
