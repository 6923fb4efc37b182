"""The command `hetang`: the product as a whole, each of its processes, and what an operator does from a shell.

Nothing here imports Django before a subcommand needs it: the supervisor must stay small.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hetang import __version__
from hetang.platform.backups import commands as backups
from hetang.platform.backups import upgrade_command
from hetang.platform.registry import CHOSEN, COMMAND, START

Command = Callable[[argparse.Namespace], int]
_WAITING = 12  # further threads of a web process, in which WeCom's callbacks wait for the disk together


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit code; 2 means that it was refused, with the reason on stderr."""
    options = _parser().parse_args(arguments)
    if options.home:
        os.environ["HETANG_HOME"] = str(Path(options.home).expanduser().resolve())
        os.environ[CHOSEN] = f"HETANG_HOME={COMMAND}"
    run: Command = options.run
    from hetang.platform.environment import Unusable

    try:
        return run(options)
    except Unusable as problem:
        return _refuse(problem)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hetang", description="Hetang 荷塘: the operating system of a private domain."
    )
    parser.add_argument("--version", action="version", version=f"hetang {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _product_commands(commands)
    _process_commands(commands)
    _operator_commands(commands)
    return parser


def _product_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = _add(commands, "up", _up, "run the product until Ctrl-C")
    demo = _add(commands, "demo", _demo, "run the product with the demo brand and a simulated WeCom")
    for command in (up, demo):
        command.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
        command.add_argument("--port", type=int, help="port of the console (default 8000, or the next free one)")
    up.add_argument("--simulator", action="store_true", help="run a simulated WeCom beside it, to try a broadcast out")
    demo.add_argument(
        "--check", action="store_true", help="do the whole main job once without a browser, print figures"
    )


def _process_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    engine = _add(commands, "engine", _engine, "process: ClickHouse engine and live sets")
    engine.add_argument("--port", type=int, default=0)
    web = _add(commands, "web", _web, "process: console and API")
    web.add_argument("--host", default="127.0.0.1")
    web.add_argument("--port", type=int, default=8000)
    web.add_argument("--workers", type=int, default=int(os.environ.get("HETANG_WEB_WORKERS", "1")))
    _add(commands, "worker", _worker, "process: jobs and loops")
    job = _add(commands, "job", _job, "process: one run of a job, started by the worker")
    job.add_argument("job_run", type=int)
    job.add_argument("--parent", type=int, required=True)
    simulate = _add(commands, "simulate", _simulate, "a simulated WeCom alone, to develop against 模拟企业微信")
    simulate.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    simulate.add_argument("--port", type=int, default=8791, help="default 8791; 0 takes a free one")
    simulate.add_argument("--play", action="store_true", help="print the address of the page to play on")
    simulate.add_argument("--grow", default="", help="found a corp of a size: small, store or luckin")
    prepare = _add(commands, "prepare", _prepare, "schema, partitions and static files, as `up` does before it starts")
    prepare.add_argument("--demo", action="store_true")


def _operator_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(commands, "doctor", _doctor, "explain what is wrong 检查运行环境")
    wecom = commands.add_parser("wecom", help="the connection to WeCom 企业微信连接")
    verbs = wecom.add_subparsers(dest="wecom_command", required=True)
    checks = _add(verbs, "doctor", _wecom_doctor, "what is wrong with it, and the remedy 检查企业微信连接")
    checks.add_argument("--json", action="store_true", help="as JSON; the exit code is 1 when something is red")
    compare = _add(
        verbs, "conformance", _wecom_conformance, "compare what a test corp answers with the simulator 与模拟器对比"
    )
    compare.add_argument(
        "--corpid", default="", help="the test corp; without it the one that this home is connected to"
    )
    compare.add_argument(
        "--agentid", type=int, default=0, help="its app; the secret is asked for, or HETANG_WECOM_SECRET"
    )
    compare.add_argument("--base-url", default="https://qyapi.weixin.qq.com", help="where the platform answers")
    compare.add_argument("--write", action="store_true", help="also make, change and delete a tag and a live code")
    compare.add_argument("--report", default="wecom-conformance.md", help="the report; the same as .json beside it")
    _add(commands, "rebuild-history", _rebuild_history, "empty the columnar history and read the log again, as a job")
    audiences = commands.add_parser("audiences", help="what audiences are made of 人群引擎")
    verbs = audiences.add_subparsers(dest="audiences_command", required=True)
    same = _add(verbs, "verify", _audiences_verify, "compare live sets and history with a recomputation 核对人群数据")
    same.add_argument("--json", action="store_true", help="as JSON; the exit code is 1 when something differs")
    same.add_argument("--repair", action="store_true", help="build anew what differs, but for the history")
    audit = commands.add_parser("audit", help="the audit log").add_subparsers(dest="audit_command", required=True)
    verify = _add(audit, "verify", _audit_verify, "say whether the audit log is as it was sealed, and what is not")
    verify.add_argument("--json", action="store_true", help="as JSON; the exit code is 1 when something is wrong")
    _add(audit, "seal", _audit_seal, "seal what is final now, without waiting for the worker")
    _add(commands, "rotate-keys", _rotate_keys, "new keys for what identifies people, while the product runs")
    for room in (backups, upgrade_command):
        room.register(lambda name, run, text: _add(commands, name, _on_a_disk(run), text))
    user = commands.add_parser("user", help="people who may log in")
    add = _add(user.add_subparsers(dest="user_command", required=True), "add", _user_add, "add a user with a role")
    add.add_argument("username")
    add.add_argument(
        "--role",
        default="headquarters",
        help="administrator, headquarters (default), region, store_manager, adviser, service_desk, analyst, auditor",
    )
    add.add_argument("--node", default="", help="code of the place in the organisation (default: the whole brand)")
    add.add_argument("--display-name", default="")
    add.add_argument("--generate", action="store_true", help="draw a password and print it once, instead of asking")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--home", help="data directory (HETANG_HOME; default ~/.hetang)")
    command.set_defaults(run=run)
    return command


def _up(options: argparse.Namespace) -> int:
    return _supervise(options, demo=False)


def _demo(options: argparse.Namespace) -> int:
    if options.check:
        return _demo_check()
    if not options.home and "HETANG_HOME" not in os.environ:
        os.environ["HETANG_HOME"] = str(Path.home() / ".hetang-demo")  # the demo never mixes with real data
        os.environ[CHOSEN] = f"HETANG_HOME={START}"
    return _supervise(options, demo=True)


def _supervise(options: argparse.Namespace, demo: bool) -> int:
    from hetang.platform import environment, supervisor

    environment.database_url()
    _refuse_bad_settings()
    simulator = getattr(options, "simulator", False)
    plan = supervisor.Plan(environment.ensure_home(), options.host, options.port, demo, simulator)
    environment.require_secrets()
    return supervisor.Supervisor(plan).run()


def _refuse_bad_settings() -> None:
    from hetang.platform import environment, registry_values

    for setting, problem in registry_values.problems():
        raise environment.Unusable(f"{setting.env} cannot be used: {problem.en} ({problem.zh})")


def _demo_check() -> int:
    """In a home of its own, which goes away afterwards."""
    import tempfile

    from hetang.platform import supervisor

    with tempfile.TemporaryDirectory(prefix="hetang-check-") as folder:
        os.environ["HETANG_HOME"] = folder
        from hetang.platform import environment

        with supervisor.servers(environment.ensure_home(), simulator=True):
            _django()
            check = import_module("hetang.demo.check")
            return int(check.main())


def _engine(options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import engine

    return engine.run(options.port)


def _web(options: argparse.Namespace) -> int:
    """Becomes granian; its workers load `hetang.wsgi`."""
    from hetang.platform import children, environment, logs, registry_values

    os.environ["HETANG_WEB_WORKER"] = "1"
    config = environment.ensure_home() / "run" / f"granian-logs-{options.port}.json"
    config.write_text(json.dumps(logs.configuration(os.environ.get("HETANG_LOG_FORMAT", logs.JSON))))
    arguments = [
        *("--interface", "wsgi", "--host", options.host, "--port", str(options.port), "--no-ws"),
        *("--workers", str(options.workers), "--blocking-threads", str(registry_values.web_threads() + _WAITING)),
        *("--respawn-failed-workers", "--workers-kill-timeout", "10", "--log-level", "warning"),
        *("--log-config", str(config)),
    ]
    os.chdir(environment.home())  # granian looks for packages where it is started: there lies nothing of a stranger's
    os.execv(sys.executable, children.python("granian", *arguments, "hetang.wsgi:application"))  # noqa: S606


def _worker(_options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import worker

    return worker.run()


def _job(options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import worker

    return worker.run_job(options.job_run, options.parent)


def _simulate(options: argparse.Namespace) -> int:
    from hetang.simulator import server

    more = [*(["--play"] if options.play else []), *(["--grow", options.grow] if options.grow else [])]
    return server.main(["--host", options.host, "--port", str(options.port), *more])


def _prepare(options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import upgrade

    upgrade.prepare()
    if options.demo:
        from hetang.demo import source, start

        try:
            start.prepare()
        except (start.NotADemo, source.DemoDataMissing) as problem:
            return _refuse(problem)
    else:
        _tell_setup_code()
    return 0


def _tell_setup_code() -> None:
    from hetang.console import first_run

    if first_run.needed():
        print(
            f"First visit: the page asks for this set-up code 首次打开页面时需要初始化口令: {first_run.code()}",
            flush=True,
        )


def _doctor(_options: argparse.Namespace) -> int:
    from hetang import doctor

    return doctor.main()


def _wecom_doctor(options: argparse.Namespace) -> int:
    def check() -> int:
        from hetang.connectors.wecom.doctor import commands

        return commands.doctor(as_json=options.json)

    return _on_the_home(check)


def _wecom_conformance(options: argparse.Namespace) -> int:
    if not options.corpid:
        return _on_the_home(lambda: _compare_connected(options))
    if not options.agentid:
        return _refuse(ValueError("name the app of the test corp with --agentid"))
    from hetang import conformance

    return conformance.named(options)


def _compare_connected(options: argparse.Namespace) -> int:
    from hetang import conformance

    return conformance.connected(options)


def _rebuild_history(_options: argparse.Namespace) -> int:
    return _on_the_home(_enqueue_rebuild)


def _enqueue_rebuild() -> int:
    from hetang.platform import jobs

    jobs.enqueue("history.rebuild", "Rebuild the columnar history", {})
    print("The worker empties the history and reads the log again; the operations page shows its lag.")
    return 0


def _audiences_verify(options: argparse.Namespace) -> int:
    def verify() -> int:
        from hetang.audiences import commands
        from hetang.platform import environment, ports

        engine = f"http://127.0.0.1:{ports.remembered(environment.home()).get('engine', 0)}"
        os.environ.setdefault("HETANG_SETS_URL", engine)
        os.environ.setdefault("HETANG_CLICKHOUSE_URL", engine)
        return commands.verify(as_json=options.json, repair=options.repair)

    return _on_the_home(verify)


def _audit_verify(options: argparse.Namespace) -> int:
    with _privacy_commands() as commands:
        return int(commands.verify_audit(as_json=options.json))


def _audit_seal(_options: argparse.Namespace) -> int:
    with _privacy_commands() as commands:
        return int(commands.seal_audit())


def _rotate_keys(_options: argparse.Namespace) -> int:
    with _privacy_commands() as commands:
        return int(commands.rotate_keys())


@contextmanager
def _privacy_commands() -> Iterator[Any]:
    """The commands of the privacy room, with the database there."""
    from hetang.platform import environment, supervisor

    with supervisor.database(environment.ensure_home()) as url:
        os.environ["HETANG_DATABASE_URL"] = url
        _django()
        yield import_module("hetang.privacy.commands")


def _user_add(options: argparse.Namespace) -> int:
    return _on_the_home(lambda: _add_user(options))


def _add_user(options: argparse.Namespace) -> int:
    from django.utils import translation

    from hetang.platform import users

    try:
        users.check(options.username, options.role, options.node)
        password = _password(options.generate)
        with translation.override("en"):  # as everything else that is said here
            users.add(
                options.username,
                password,
                role=options.role,
                node_code=options.node,
                display_name=options.display_name,
            )
    except users.UserRefused as problem:
        return _refuse(problem)
    print(f"{options.username} may log in as {options.role}")
    if options.generate:
        print(f"password 密码: {password}")
    return 0


def _password(generate: bool) -> str:
    """Drawn, or HETANG_PASSWORD, or asked for twice at the terminal. Raises Unusable."""
    import getpass
    import secrets

    from hetang.platform.environment import Unusable

    if generate:
        return secrets.token_urlsafe(12)
    if given := os.environ.get("HETANG_PASSWORD"):
        return given
    if not sys.stdin.isatty():
        raise Unusable("there is no terminal to ask for a password: say --generate, or set HETANG_PASSWORD")
    try:
        password = getpass.getpass("Password 密码: ")
        again = getpass.getpass("Once more 再输一次: ")
    except (EOFError, KeyboardInterrupt) as stopped:
        raise Unusable("no password was given; nobody was added") from stopped
    if password != again:
        raise Unusable("the two passwords differ; nobody was added")
    return password


def _on_the_home(work: Callable[[], int]) -> int:
    """Do something on the database of a home that is in use, whether the product runs or not."""
    from hetang.platform import environment, supervisor

    home = environment.home()
    if not environment.database_url() and not (home / "postgres" / "PG_VERSION").exists():
        raise environment.Unusable(f"{home} holds no data yet; start it once with `hetang up --home {home}`")
    environment.require_secrets()
    with supervisor.database(environment.ensure_home()) as url:
        os.environ["HETANG_DATABASE_URL"] = url
        _django()
        from hetang.platform import upgrade

        upgrade.check_ready()
        return work()


def _on_a_disk(run: Command) -> Command:
    """The command, refusing with a sentence where a place cannot be read or written, or is full."""

    def guarded(options: argparse.Namespace) -> int:
        from hetang.platform.environment import Unusable, place_unusable

        try:
            return run(options)
        except OSError as problem:
            if not (told := place_unusable(problem)):
                raise
            raise Unusable(told) from problem

    return guarded


def _refuse(problem: Exception) -> int:
    print(f"hetang: {problem}", file=sys.stderr)
    return 2


def _django() -> None:
    _django_later()
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()


def _django_later() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")


if __name__ == "__main__":
    sys.exit(main())
