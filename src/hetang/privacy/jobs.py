"""Long work of the privacy room."""

from __future__ import annotations

from typing import Any

from hetang.platform.jobs import Work, job
from hetang.privacy import bases, consents, erasing, exports, retention, rotation, seals, verification

VERIFY = "privacy.verify_audit"


@job(VERIFY)
def verify(work: Work) -> dict[str, Any]:
    """Check every seal of the audit log; what is new is sealed first."""
    seals.seal_new()
    return verification.verify(lambda done, total: work.progress(done, total, "checking")).as_json()


@job(erasing.JOB)
def erase(work: Work) -> dict[str, Any]:
    """Erase one person; what has to wait for a store is gone on with by the loop."""
    erasure = erasing.carry_out(int(work.arguments["erasure"]), work.checkpoint)
    return {"state": erasure.state, "waits_for": ", ".join(erasure.waits_for)}


@job(exports.JOB)
def export(work: Work) -> dict[str, Any]:
    """Write the file of an export."""
    made = exports.make(int(work.arguments["export"]), work.progress)
    return {"number": made.number, "state": made.state, "rows": made.rows or 0}


@job(exports.LARGE_JOB, own_process=True)
def large_export(work: Work) -> dict[str, Any]:
    """The same in a process of its own: it reads and formats for minutes."""
    return export(work)


@job(retention.JOB)
def keeping(work: Work) -> dict[str, Any]:
    """Remove what is older than its keeping time."""
    return dict(retention.carry_out(int(work.arguments["run"]), work.checkpoint))


@job(rotation.JOB, own_process=True)
def rotate_keys(work: Work) -> dict[str, Any]:
    """Write everything that identifies people under new keys."""
    done = rotation.carry_out(int(work.arguments["rotation"]), work.progress)
    return {name: step["done"] for name, step in done.steps.items() if step.get("done")}


@job(bases.JOB)
def state_basis(work: Work) -> dict[str, Any]:
    """Write down the legal basis of a source's consents, and count anew."""
    made = bases.carry_out(int(work.arguments["statement"]), work.progress)
    return {"stated": made.stated, "left_out": made.left_out}


@job(consents.JOB)
def count_consents(_work: Work) -> dict[str, Any]:
    """Count who agreed to what."""
    return {"lines": consents.count()}
