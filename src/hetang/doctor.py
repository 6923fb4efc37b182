"""`hetang doctor`: looks at the machine and the data directory, and says in Chinese and English what is wrong and what
to do. Each finding is independent: one that fails never hides the next."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hetang.platform import children, environment, ports, postgres, registry, registry_values
from hetang.platform.backups import archive, commands, folder, restore

PACKAGES = {
    "django": "Django",
    "psycopg": "psycopg[binary]",
    "chdb": "chdb",
    "clickhouse_connect": "clickhouse-connect",
    "granian": "granian",
    "procrastinate": "procrastinate[django]",
    "pyarrow": "pyarrow",
    "pyroaring": "pyroaring",
}
LEAST_FREE_BYTES = 2 << 30
# Said to whoever asks while the server starts or stops: nothing is wrong.
_PASSING = ("the database system is shutting down", "the database system is starting up")
_OK, _NOTE, _WRONG = "✓", "!", "✗"


@dataclass(frozen=True)
class Finding:
    """One line of the report in both languages. `mark` ✗ makes the exit code 1."""

    mark: str
    zh: str
    en: str


Check = Callable[[Path], Iterator[Finding]]


def main() -> int:
    """Print all findings. Returns 1 if something keeps Hetang from running, else 0."""
    home = environment.home()
    print(f"Hetang doctor 检查: {home}\n")
    findings = [finding for check in CHECKS for finding in _guarded(check, home)]
    for finding in findings:
        print(f"{finding.mark} {finding.zh}\n  {finding.en}")
    wrong = sum(finding.mark == _WRONG for finding in findings)
    print(f"\n{wrong} 个问题 / {wrong} problem(s)" if wrong else "\n一切正常 / All is well")
    return 1 if wrong else 0


def python_version(_home: Path) -> Iterator[Finding]:
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 11):  # noqa: UP036 - that is what it looks for
        yield Finding(_OK, f"Python {shown}", f"Python {shown}")
    else:
        yield Finding(
            _WRONG, f"Python {shown} 太旧，需要 3.11 或更新", f"Python {shown} is too old; 3.11 or newer is needed"
        )


def packages(_home: Path) -> Iterator[Finding]:
    missing = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        yield Finding(
            _WRONG, f"缺少软件包，请运行：pip install {names}", f"packages are missing; run: pip install {names}"
        )
    else:
        yield Finding(_OK, "软件包齐全", "all packages are installed")


def data_directory(home: Path) -> Iterator[Finding]:
    if not os.path.lexists(home):
        yield from _new_directory(home)
    elif not _is_folder(home):
        yield Finding(
            _WRONG, f"{home} 不是目录，请用 --home 另选", f"{home} is no directory; name another one with --home"
        )
    elif not _usable(home):
        yield Finding(
            _WRONG,
            f"当前用户不能读写数据目录 {home}（属于 {_owner(home)}）：请用该用户运行，或用 --home 另选",
            f"this user may not write to {home}, which belongs to {_owner(home)}: run as that user,"
            " or name another directory with --home",
        )
    elif home.stat().st_mode & 0o077:
        yield Finding(
            _WRONG,
            f"其他用户可以进入数据目录，请运行：chmod 700 {home}",
            f"other users may enter the data directory; run: chmod 700 {home}",
        )
    else:
        yield Finding(_OK, "数据目录仅本用户可访问", "the data directory is private to this user")


def _new_directory(home: Path) -> Iterator[Finding]:
    above = _existing(home)
    if _is_folder(above) and os.access(above, os.W_OK | os.X_OK):
        yield Finding(
            _NOTE, f"数据目录 {home} 还不存在，首次启动时会创建", f"{home} does not exist yet; the first start makes it"
        )
    else:
        yield Finding(
            _WRONG,
            f"数据目录 {home} 无法在 {above} 下创建，请用 --home 另选",
            f"{home} cannot be made below {above}; name another one with --home",
        )


def secrets(home: Path) -> Iterator[Finding]:
    """The keys of the personal data: without them a database cannot be read."""
    files = (home / "postgres" / "PG_VERSION", home / "secrets.json")
    if not _usable(home) or not any(file.exists() for file in files):
        return
    try:
        environment.require_secrets()
    except environment.Unusable as problem:
        yield Finding(_WRONG, f"密钥文件 secrets.json 缺失或损坏，请从备份恢复（{problem}）", str(problem))


def disk(home: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(home)).free
    shown = f"{free / (1 << 30):.1f} GB"
    if free < LEAST_FREE_BYTES:
        yield Finding(_WRONG, f"磁盘只剩 {shown}，至少需要 2 GB", f"only {shown} of disk are free; 2 GB are needed")
    else:
        yield Finding(_OK, f"磁盘可用 {shown}", f"{shown} of disk are free")


def ordinary_user(_home: Path) -> Iterator[Finding]:
    """PostgreSQL refuses to run as root; a user namespace helps where the kernel allows it."""
    if os.geteuid() != 0 or environment.database_url():
        return
    if children.user_namespaces_work():
        yield Finding(
            _OK, "以 root 运行：PostgreSQL 将在用户命名空间中启动", "as root: PostgreSQL will run in a user namespace"
        )
    else:
        yield Finding(
            _WRONG,
            "以 root 运行且内核不允许用户命名空间：请用普通用户运行，或设置 HETANG_DATABASE_URL",
            "as root, and the kernel refuses user namespaces: run as an ordinary user, or set HETANG_DATABASE_URL",
        )


def running(home: Path) -> Iterator[Finding]:
    if _blocked(home):
        return
    known = ports.remembered(home)
    port = known.get("web", 8000)
    if _is_up(home):
        yield Finding(_OK, f"Hetang 正在运行: http://127.0.0.1:{port}/", f"Hetang runs at http://127.0.0.1:{port}/")
        yield from _engine(known)
    elif not ports.is_free(port):
        yield Finding(
            _NOTE,
            f"端口 {port} 被其他程序占用；启动时会换一个，也可用 --port 指定",
            f"port {port} is taken by another program; the start takes the next one, or say --port",
        )
    else:
        yield Finding(_OK, f"端口 {port} 可用", f"port {port} is free")


def database(home: Path) -> Iterator[Finding]:
    """The PostgreSQL of this home or of HETANG_DATABASE_URL, without starting anything."""
    url = environment.database_url()
    if not url:
        if _blocked(home):
            return
        data = home / "postgres"
        if not (data / "PG_VERSION").exists():
            yield Finding(
                _NOTE, "数据库尚未创建，首次启动时会创建", "there is no database yet; the first start makes it"
            )
            return
        if postgres.postmaster_pid(data) is None:
            yield Finding(
                _NOTE, "数据库没有运行（hetang up 会启动它）", "PostgreSQL does not run (`hetang up` starts it)"
            )
            yield from _log_tail(home / "logs" / "postgres.log", "PostgreSQL")
            return
        url = postgres.Server(data, postgres.socket_folder(home), None).url
    yield from _schema(url)


def logs(home: Path) -> Iterator[Finding]:
    if not _usable(home):
        return
    for name in ("engine", "web", "public", "worker", "simulator"):
        yield from _log_tail(home / "logs" / f"{name}.log", name)


def settings(_home: Path) -> Iterator[Finding]:
    """What the environment sets: unusable values, misspelled names, and what is in force."""
    for setting, problem in registry_values.problems():
        yield Finding(
            _WRONG,
            f"环境变量 {setting.env}（{setting.label_zh}）不可用：{problem.zh}。{setting.zh}",
            f"{setting.env} ({setting.label_en}) cannot be used: {problem.en}. {setting.en}",
        )
    for name in registry_values.unknown():
        yield Finding(
            _NOTE, f"没有名为 {name} 的设置，可能是拼写错误", f"there is no setting {name}: probably a misspelling"
        )
    chosen = registry_values.chosen()
    told = ", ".join(one.env for one in registry.SETTINGS.values() if os.environ.get(one.env) and one.env not in chosen)
    if told:
        yield Finding(_OK, f"由环境变量设定：{told}", f"set in the environment: {told}")


def backups(home: Path) -> Iterator[Finding]:
    """Whether there is a way back: an unfinished restore, the newest backup, the archive."""
    if _blocked(home):
        return
    if problem := restore.unfinished(home):
        yield Finding(_WRONG, f"恢复尚未完成，请再次运行同一条 hetang restore 命令（{home}）", problem)
    external = bool(environment.database_url())
    used = home / ("secrets.json" if external else "postgres/PG_VERSION")
    if not (_usable(home) and used.exists()):
        return
    newest = folder.newest(commands.backups_folder(home))
    if newest is None:
        yield Finding(_NOTE, "还没有备份，请运行 hetang backup", "there is no backup; make one with `hetang backup`")
        return
    age = datetime.now(UTC) - newest.manifest.at
    mark = _OK if age < timedelta(days=2) else _NOTE
    days = age.total_seconds() / 86_400
    yield Finding(mark, f"最新备份是 {days:.1f} 天前的", f"the newest backup is {days:.1f} days old")
    if archive.configured() is None and not external:
        yield Finding(
            _NOTE,
            "未设置归档目录（HETANG_ARCHIVE），只能恢复到备份的时刻",
            "there is no archive (HETANG_ARCHIVE): only the moments of backups can be restored",
        )


CHECKS: list[Check] = [
    *(python_version, packages, settings, data_directory, secrets, disk, ordinary_user),
    *(running, database, backups, logs),
]


def _guarded(check: Check, home: Path) -> Iterator[Finding]:
    try:
        yield from check(home)
    except environment.Unusable as problem:
        yield Finding(_WRONG, f"设置有误：{problem}", str(problem))
    except Exception as problem:  # a doctor that falls over its first patient helps nobody
        text = f"{check.__name__}: {type(problem).__name__}: {problem}"
        yield Finding(_WRONG, f"检查未能完成：{text}", f"this check did not finish: {text}")


def _existing(path: Path) -> Path:
    while not os.path.lexists(path):
        path = path.parent
    return path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:  # below a closed folder
        return False


def _usable(home: Path) -> bool:
    return _is_folder(home) and os.access(home, os.R_OK | os.W_OK | os.X_OK)


def _blocked(home: Path) -> bool:
    """Whether the home is there and cannot be used, or cannot be made."""
    return not _usable(home) and (os.path.lexists(home) or not _usable(_existing(home)))


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def _is_up(home: Path) -> bool:
    from hetang.platform import supervisor

    if not (home / "run").exists():
        return False
    try:
        with supervisor.only_one(home):
            return False
    except supervisor.Refused:
        return True


def _engine(known: dict[str, int]) -> Iterator[Finding]:
    from hetang.platform import supervisor

    address = f"http://127.0.0.1:{known.get('engine', 0)}/ping"
    if supervisor.answers(address):
        yield Finding(_OK, "分析引擎有应答", "the engine answers")
    else:
        yield Finding(_WRONG, "分析引擎没有应答，见 logs/engine.log", "the engine does not answer; see logs/engine.log")


def _schema(url: str) -> Iterator[Finding]:
    code = (
        "import django; django.setup()\n"
        "import sys\n"
        "from hetang.platform import upgrade\n"
        "try:\n"
        "    upgrade.check_server()\n"
        "    missing, newer = len(upgrade.pending()), len(upgrade.from_the_future())\n"
        "    missing or newer or upgrade.check_keys()\n"
        "except upgrade.NotReady as problem:\n"
        "    sys.exit(str(problem))\n"
        "print(missing, newer)\n"
    )
    env = {**os.environ, "HETANG_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "hetang.settings"}
    asked = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or ["?"])[-1]
        yield Finding(_WRONG, f"数据库不可用：{last}", f"the database cannot be used: {last}")
        return
    missing, newer = map(int, asked.stdout.split())
    if newer:
        yield Finding(
            _WRONG, "数据由更新版本的 Hetang 写入", "the data were written by a newer Hetang; install that version"
        )
    elif missing:
        yield Finding(
            _WRONG,
            f"有 {missing} 个数据库迁移未执行，请运行 hetang upgrade",
            f"{missing} migrations are pending; run hetang upgrade",
        )
    else:
        yield Finding(_OK, "数据库版本与程序一致", "the database answers and fits this version")


def _error_of(line: str) -> str:
    """A line of a log as people read it, if it tells of an error."""
    try:
        told = json.loads(line)
    except ValueError:
        return line if any(word in line for word in (" ERROR ", "FATAL:", "PANIC:")) else ""
    if not isinstance(told, dict) or told.get("level") not in ("ERROR", "CRITICAL"):
        return ""
    last = str(told.get("trace", "")).rstrip().rpartition("\n")[2]
    return " ".join(part for part in (str(told.get("at", "")), str(told.get("message", "")), last) if part)


def _log_tail(path: Path, name: str) -> Iterator[Finding]:
    """The last errors of a log; errors of an earlier run may long be over, hence a note only."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 64_000))
        lines = stream.read().decode(errors="replace").splitlines()
    errors = [shown for line in lines if (shown := _error_of(line))]
    errors = [line for line in errors if not line.endswith(_PASSING)]
    if errors:
        last = errors[-1][:300]
        yield Finding(_NOTE, f"{name} 日志中最近的错误：{last}", f"last error in the log of {name}: {last}")
