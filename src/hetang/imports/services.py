"""Verbs of importing: take a file, say what its columns mean, check it, confirm what was warned of, run it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from django.db import transaction

from hetang.imports import mapping as mappings
from hetang.imports import orders, running, sources
from hetang.imports.blocks import Inspection
from hetang.imports.errors import ImportRefused, NotReady
from hetang.imports.mapping import Mapping
from hetang.imports.models import Import, Preset
from hetang.imports.targets import TARGETS, Target
from hetang.platform import clock, files, jobs
from hetang.platform.brand import brand
from hetang.platform.environment import home
from hetang.platform.jobs import Cancelled, HandedBack, Work
from hetang.platform.masking import mask
from hetang.platform.models import StoredFile, User

_MAPPABLE = (Import.DRAFT, Import.CHECKED, Import.FAILED, Import.CANCELLED)
_PHONE = re.compile(r"\+?[0-9][0-9 \-]{6,18}[0-9]")


def upload(target: str, name: str, pieces: Iterable[bytes], by: User | None = None) -> Import:
    """Take an uploaded file: sealed at once, then looked at. Raises Unreadable; nothing is kept of such a file."""
    declared = mappings.target_of(target)
    stored = files.store(name, pieces, by)
    try:
        with files.unsealed(stored, home() / "files" / "scratch") as path:
            look = sources.inspect(path, stored.name)
            return _create(declared, stored.name, path, look, by, stored=stored)
    except Exception:  # a refusal mostly; whatever it is, nothing of the file may stay
        files.remove(stored)
        raise


def from_path(target: str, server_path: str, by: User | None = None) -> Import:
    """Take a file that lies below an allowed folder. Raises ImportRefused."""
    declared = mappings.target_of(target)
    path = sources.allowed(server_path)
    return _create(declared, path.name, path, sources.inspect(path, path.name), by)


def choose_format(owner: Import, encoding: str = "", delimiter: str = "", sheet: str = "") -> None:
    """Read the file again as the operator says it is written, and suggest columns anew."""
    with running.opened(owner) as work:
        look = sources.inspect(work.path, owner.title, encoding, delimiter, sheet)
    suggested = _suggested(TARGETS[owner.target], look)
    mapping = msgspec.structs.replace(
        suggested, encoding=look.encoding, delimiter=look.delimiter, sheet=sheet or (look.sheets or [""])[0]
    )
    _remap(owner, mapping, columns=_columns(TARGETS[owner.target], look, suggested))


def save_mapping(owner: Import, mapping: Mapping) -> None:
    """Set what the columns mean; an earlier check no longer counts. Raises BadMapping, NotReady."""
    headers = [column["header"] for column in owner.columns]
    mappings.check(TARGETS[owner.target], mapping, headers, brand().currency)
    _remap(owner, mapping)


def save_preset(name: str, owner: Import, by: User | None = None) -> Preset:
    """Keep the import's mapping under a name; the same name again replaces it."""
    name = name.strip()[:80]
    if not name:
        raise ImportRefused("preset_without_name")
    values = {"target": owner.target, "mapping": owner.mapping, "created_at": clock.now(), "created_by": by}
    preset, _ = Preset.objects.update_or_create(name=name, defaults=values)
    return preset


def apply_preset(owner: Import, preset: Preset) -> None:
    """Take a saved mapping for this file. Raises BadMapping when the file lacks a column of it."""
    if preset.target != owner.target:
        raise ImportRefused("preset_of_other_target")
    saved, mine = mappings.decode(preset.mapping), mappings.decode(owner.mapping)
    save_mapping(
        owner,
        msgspec.structs.replace(saved, encoding=mine.encoding, delimiter=mine.delimiter, sheet=mine.sheet),
    )


def delete_preset(preset: Preset) -> None:
    """Forget a saved mapping; imports that used it keep theirs."""
    preset.delete()


def start_check(owner: Import, by: User | None = None) -> None:
    """Plan the check (导入预检) as a job. Raises BadMapping, NotReady."""
    headers = [column["header"] for column in owner.columns]
    mappings.check(TARGETS[owner.target], mappings.decode(owner.mapping), headers, brand().currency)
    with transaction.atomic():
        run = jobs.enqueue("imports.check", owner.title, {"import": owner.pk}, by)
        _move(owner, _MAPPABLE, Import.CHECKING, check_job=run, check_result={}, confirmed=[], failure={})


def confirm(owner: Import, codes: Iterable[str]) -> None:
    """Note that somebody has read these warnings and wants the import all the same."""
    known = {warning["code"] for warning in owner.check_result.get("warnings", [])}
    owner.confirmed = sorted(set(owner.confirmed) | (known & set(codes)))
    owner.save(update_fields=["confirmed"])


def start_run(owner: Import, by: User | None = None) -> None:
    """Plan the run as a job. Raises NotReady unless it was checked and every warning confirmed.

    A failed or cancelled run may be started again: it goes on behind what is written.
    """
    if not owner.check_result:
        raise NotReady("not_checked")
    if unconfirmed(owner):
        raise NotReady("warnings_unconfirmed")
    with transaction.atomic():
        run = jobs.enqueue("imports.run", owner.title, {"import": owner.pk}, by)
        resumable = (Import.CHECKED, Import.FAILED, Import.CANCELLED)
        _move(owner, resumable, Import.RUNNING, run_job=run, failure={}, result={})


def unconfirmed(owner: Import) -> list[str]:
    """Codes of warnings that nobody has confirmed yet."""
    return [w["code"] for w in owner.check_result.get("warnings", []) if w["code"] not in owner.confirmed]


def cancel(owner: Import) -> None:
    """Ask a check or run to end. What a run has written stays; it can be continued."""
    run = owner.run_job if owner.state == Import.RUNNING else owner.check_job
    if owner.state not in {Import.RUNNING, Import.CHECKING} or run is None:
        raise NotReady("nothing_to_cancel")
    jobs.cancel(run)
    run.refresh_from_db()
    reconcile(owner)


def reconcile(owner: Import) -> None:
    """Give an import back whose job ended without its handler: cancelled before it began, or given up."""
    running_now = owner.state == Import.RUNNING
    run = owner.run_job if running_now else owner.check_job
    if owner.state not in {Import.RUNNING, Import.CHECKING} or run is None:
        return
    if run.state == run.CANCELLED:
        _move(owner, (owner.state,), Import.CANCELLED if running_now else Import.DRAFT)
    elif run.state == run.FAILED:
        failure = {"code": "unexpected", "parameters": {"problem": run.error[:80]}}
        _move(owner, (owner.state,), Import.FAILED, failure=failure)


def check_now(owner: Import, work: running.Watch) -> dict[str, Any]:
    """Check within a job that is running already (the demo's). Same rules as `start_check`."""
    headers = [column["header"] for column in owner.columns]
    mappings.check(TARGETS[owner.target], mappings.decode(owner.mapping), headers, brand().currency)
    if owner.state != Import.CHECKING:  # else an attempt that died is taken up
        _move(owner, _MAPPABLE, Import.CHECKING, check_result={}, confirmed=[], failure={})
    return _perform(owner, work, (Import.CHECKING, Import.CHECKED, Import.DRAFT))


def run_now(owner: Import, work: running.Watch) -> dict[str, Any]:
    """Run within a job that is running already (the demo's). Same rules as `start_run`."""
    if not owner.check_result:
        raise NotReady("not_checked")
    if unconfirmed(owner):
        raise NotReady("warnings_unconfirmed")
    if owner.state != Import.RUNNING:
        _move(owner, (Import.CHECKED, Import.FAILED, Import.CANCELLED), Import.RUNNING, failure={}, result={})
    return _perform(owner, work, (Import.RUNNING, Import.DONE, Import.CANCELLED))


def perform_check(owner: Import, work: Work) -> dict[str, Any]:
    """The job behind `start_check`."""
    return _perform(owner, work, (Import.CHECKING, Import.CHECKED, Import.DRAFT))


def perform_run(owner: Import, work: Work) -> dict[str, Any]:
    """The job behind `start_run`."""
    return _perform(owner, work, (Import.RUNNING, Import.DONE, Import.CANCELLED))


def _perform(owner: Import, work: running.Watch, states: tuple[str, str, str]) -> dict[str, Any]:
    begun, finished, cancelled = states
    if owner.state != begun:
        return dict(owner.result)  # an earlier attempt finished and died before its job could say so
    checking = begun == Import.CHECKING
    try:
        answer = running.check(owner, work) if checking else running.run(owner, work)
    except HandedBack:
        raise
    except Cancelled:
        _move(owner, (begun,), cancelled)
        raise
    except ImportRefused as refusal:
        if refusal.code != "busy":
            _move(owner, (begun,), Import.FAILED, failure={"code": refusal.code, "parameters": refusal.parameters})
        raise
    except Exception as problem:
        failure = {"code": "unexpected", "parameters": {"problem": f"{type(problem).__name__}"}}
        _move(owner, (begun,), Import.FAILED, failure=failure)
        raise
    outcome = {"check_result": answer} if checking else {"result": answer, "finished_at": clock.now()}
    _move(owner, (begun,), finished, **outcome)
    return answer


def _move(owner: Import, allowed: tuple[str, ...], state: str, **changes: Any) -> None:
    """Change the state if it is still one of `allowed`. Raises NotReady."""
    if Import.objects.filter(pk=owner.pk, state__in=allowed).update(state=state, **changes) != 1:
        raise NotReady("wrong_state", {"state": owner.state})
    owner.refresh_from_db()


def _remap(owner: Import, mapping: Mapping, **changes: Any) -> None:
    if owner.chunks.exists() and mappings.decode(owner.mapping) != mapping:
        raise NotReady("partly_written")
    _move(owner, _MAPPABLE, Import.DRAFT, mapping=mappings.encode(mapping), check_result={}, confirmed=[], **changes)


def _create(
    target: Target, title: str, path: Path, look: Inspection, by: User | None, *, stored: StoredFile | None = None
) -> Import:
    suggested = _suggested(target, look)
    return Import.objects.create(
        target=target.name,
        title=title[:200],
        stored_file=stored,
        server_path="" if stored else str(path),
        fingerprint=stored.sha256 if stored else sources.fingerprint(path),
        form=look.form,
        columns=_columns(target, look, suggested),
        mapping=mappings.encode(suggested),
        parts=orders.parts_for(path.stat().st_size * (8 if look.form != "csv" else 1)),
        as_of=clock.now(),
        created_at=clock.now(),
        created_by=by,
    )


def _suggested(target: Target, look: Inspection) -> Mapping:
    suggested = mappings.suggest(target, look.headers, look.samples)
    return msgspec.structs.replace(
        suggested, encoding=look.encoding, delimiter=look.delimiter, sheet=(look.sheets or [""])[0]
    )


def _columns(target: Target, look: Inspection, suggested: Mapping) -> list[dict[str, Any]]:
    """Headers with three sample values each, masked where they are personal or look so."""
    field_of = {header: name for name, header in suggested.columns.items()}
    repeated = set(look.duplicate_headers)
    return [
        {
            "header": header,
            "samples": [_masked_sample(target, field_of.get(header), value) for value in look.samples[header][:3]],
            "duplicate": re.sub(r" \(\d+\)$", "", header.strip()) in repeated,
        }
        for header in look.headers
    ]


def _masked_sample(target: Target, field: str | None, value: str) -> str:
    personal = target.field(field).personal if field else ""
    if personal:
        return mask(personal, value)
    if "@" in value:
        return mask("email", value)
    if field is None and _PHONE.fullmatch(value) and value.lstrip("+").startswith(("1", "86")) and len(value) >= 11:
        return mask("phone", value)
    return value[:80]
