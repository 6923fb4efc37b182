"""The tree of the organisation has one root, whoever comes first."""

from __future__ import annotations

import pytest

from hetang.platform import organisation
from hetang.platform.models import OrgNode


def test_two_processes_may_make_the_brand_at_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = organisation.root()
    looks = iter([None, made])  # the other one committed between our look and our try
    monkeypatch.setattr(organisation, "_brand", lambda: next(looks))
    assert organisation.root() == made
    assert OrgNode.objects.count() == 1
