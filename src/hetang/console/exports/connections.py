"""Exports of what a connection did not bring in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hetang.connectors.wecom.models import Skipped, SyncRun
from hetang.console.exports.pieces import moment
from hetang.console.settings import wecom_activity
from hetang.platform.access import Actor
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.exports import About, Parameters, Sheet


def choose_skipped(_actor: Actor, given: Mapping[str, str]) -> Parameters:
    """The sync that is named, or the newest one."""
    number = given.get("run", "")
    if number.isdecimal() and len(number) < 19:
        return {"run": int(number)}
    newest = SyncRun.objects.order_by("-id").values_list("pk", flat=True).first()
    return {"run": newest or 0}


def about_skipped(_actor: Actor, chosen: Parameters) -> About:
    run = _run(chosen)
    lines = [(_("Sync begun"), moment(run.begun_at)), (_("Names and numbers of people"), _("none: only ids of WeCom"))]
    return About(_("What a sync with WeCom skipped"), lines, _rows(run))


def sheet_of_skipped(_actor: Actor, chosen: Parameters) -> Sheet:
    header = [_("Which"), _("Kind"), _("Reason"), _("Code"), _("Time")]
    return Sheet(header, _read(_rows(_run(chosen))))


def _run(chosen: Parameters) -> SyncRun:
    run = SyncRun.objects.filter(pk=chosen["run"]).first()
    if run is None:
        raise PrivacyRefused("thing_gone")
    return run


def _rows(run: SyncRun) -> QuerySet[Skipped]:
    return Skipped.objects.filter(run=run).order_by("kind", "name", "id")


def _read(rows: QuerySet[Skipped]) -> Iterator[list[Any]]:
    for one in rows.iterator(chunk_size=2000):
        kind = str(wecom_activity.KINDS.get(one.kind, one.kind))
        reason = str(wecom_activity.REASONS.get(one.reason, one.reason))
        yield [one.name, kind, reason, one.code or "", moment(one.at)]
