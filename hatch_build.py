"""Build hook: compiled translations are made here, since git holds only their readable sources."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
from tools import catalogs


class CompiledMessages(BuildHookInterface):
    """Beside their sources for an editable install; else only into the wheel, for the tree may be read-only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            catalogs.compile_all()
            return
        self._folder = tempfile.TemporaryDirectory()
        for number, path in enumerate(catalogs.catalogs()):
            made = Path(self._folder.name) / f"{number}.mo"
            made.write_bytes(catalogs.compiled(path))
            build_data["force_include"][str(made)] = path.with_suffix(".mo").relative_to(catalogs.SOURCE).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()
