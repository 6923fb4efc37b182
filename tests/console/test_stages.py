from __future__ import annotations

import re
from pathlib import Path

from django.utils.translation import override

import hetang
from hetang.console.operations.stages import STAGES, stage_label
from hetang.demo.load import STEPS


def test_every_stage_that_a_job_tells_has_a_word() -> None:
    source = Path(hetang.__file__).parent
    told = {
        stage for path in source.rglob("*.py") for stage in re.findall(r"progress\(.*\"([a-z ]+)\"\)", path.read_text())
    }
    assert {"gone", "rotating", "writing"} <= told
    assert told | {step.name for step in STEPS} <= STAGES
    with override("zh-hans"):
        assert stage_label("visits · of another kind") == "到店记录 · of another kind"
