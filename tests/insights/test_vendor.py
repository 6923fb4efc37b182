"""What is vendored is what vendor.toml says, with its licence beside it."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import hetang

VENDOR = Path(hetang.__file__).parent / "console" / "static" / "console" / "vendor"


def test_every_vendored_file_is_declared_and_unchanged() -> None:
    declared = tomllib.loads((VENDOR / "vendor.toml").read_text())["package"]
    hashes = {file["path"]: file["sha256"] for package in declared for file in package["files"]}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}

    del found["vendor.toml"]
    assert found == hashes


def test_every_package_brings_its_licence_and_carries_its_version_in_the_name() -> None:
    for package in tomllib.loads((VENDOR / "vendor.toml").read_text())["package"]:
        names = [file["path"] for file in package["files"]]
        assert all(package["version"] in name for name in names)
        assert any("LICENSE" in name for name in names)
        assert package["licence"]
