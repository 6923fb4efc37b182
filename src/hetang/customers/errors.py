"""What the customers room refuses."""

from __future__ import annotations


class NumbersExhausted(Exception):
    """The next customer number would leave the range of UInt32."""


class NoIdentity(Exception):
    """The customer has no identity that a fact could name (she was erased)."""


class NothingToState(Exception):
    """There is no consent whose legal basis could be stated: it was withdrawn, or came with a basis of its own."""


class BasisMissing(Exception):
    """A consent to marketing was to be noted without a legal basis."""


class AlreadyApart(Exception):
    """These two are not one person (any more)."""


class KeptApart(Exception):
    """Somebody decided that these two are not the same person; that has to be taken back first."""


class TagKept(Exception):
    """A rule keeps this tag: it is put on and taken off by nobody else."""


class GroupExclusive(Exception):
    """In a group of which a customer has only one tag no rule keeps one."""


class DuplicateName(Exception):
    """A tag, group or life stage model of this name, or a tag of this code, exists already."""


class BulkRefused(Exception):
    """A bulk change cannot be so now. `code`: nobody, until_past, tag_gone, changed_meanwhile, still_running,
    nothing_to_undo, or approval_… with the code of `ApprovalRefused`; `detail` fills the message."""

    def __init__(self, code: str, **detail: object) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


class MemberGone(Exception):
    """The household has no such member (any more)."""


class StageProblem(Exception):
    """A course of life stages that cannot be: `code` of `life_stages.PROBLEMS`, and the stage that it is about."""

    def __init__(self, code: str, stage: str = "") -> None:
        super().__init__(f"{code} {stage}")
        self.code = code
        self.stage = stage


class StaleModel(Exception):
    """Somebody else changed or archived it meanwhile."""
