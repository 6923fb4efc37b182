"""Long work of the privacy room."""

from __future__ import annotations

from typing import Any

from hetang.platform.jobs import Work, job
from hetang.privacy import erasing, seals, verification

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
