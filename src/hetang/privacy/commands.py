"""What an operator does about personal data from a shell. Each function prints and returns the exit code."""

from __future__ import annotations

import json

from hetang.privacy import rotation, seals, verification
from hetang.privacy.errors import PrivacyRefused

WHY_NOT = {
    "rotating": "The keys are being rotated already.",
    "erasing_first": "Somebody is being erased; start the rotation when that is done.",
}

WHAT = {
    "altered": "row {number} was altered after it was sealed",
    "removed": "row {number} was removed",
    "added": "row {number} was slipped in after its range had been sealed",
    "seal_altered": "seal {number} was altered: its signature does not fit",
    "seal_missing": "seal {number} is missing",
    "release_altered": "note {number} on rows removed by the schedule was altered",
    "head_differs": "seal {number} differs from the one that the file in the home knows",
    "heads_ahead": "seal {number} is known to the file in the home, but not to the database (an older backup?)",
}


def verify_audit(*, as_json: bool) -> int:
    """Check the audit log; 0 when it is sound, 1 when it is not."""
    report = verification.verify()
    if as_json:
        print(json.dumps(report.as_json(), indent=1))
        return 0 if report.sound else 1
    print(f"{report.seals} seals, {report.rows} rows as sealed, {report.released} removed by the retention schedule,")
    print(f"{report.unsealed} rows are too young to be sealed yet.")
    for finding in report.findings:
        print(f"- {WHAT[finding.what].format(number=finding.number)}")
    more = sum(report.counts.values()) - len(report.findings)
    if more:
        print(f"- and {more} more")
    print("The log is as it was sealed." if report.sound else "The log is NOT as it was sealed.")
    return 0 if report.sound else 1


def seal_audit() -> int:
    """Seal what is final now, without waiting for the worker."""
    print(f"{seals.seal_new()} rows sealed")
    return 0


def rotate_keys() -> int:
    """Start a rotation of the keys; the worker carries it out. 0, or 1 when it was refused."""
    from hetang.platform.access import system

    try:
        begun = rotation.begin(system("command line"))
    except PrivacyRefused as refused:
        print(WHY_NOT.get(refused.code, refused.code))
        return 1
    print(f"Rotation {begun.pk} is begun; the worker carries it out while everybody goes on working.")
    print("When the page says that it is over, export the keys again: hetang keys FILE")
    print("Backups made from then on do not open with earlier exports. The new export opens earlier backups as well.")
    return 0
