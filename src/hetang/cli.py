"""The command `hetang`: each process of the product is one of its subcommands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hetang import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.home:
        os.environ["HETANG_HOME"] = options.home
    result: int = options.run(options)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hetang", description="Hetang 荷塘")
    parser.add_argument("--version", action="version", version=f"hetang {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", help="the data directory (HETANG_HOME; default ~/.hetang)")
    commands = parser.add_subparsers(dest="command", required=True)

    engine = commands.add_parser("engine", parents=[common], help="the ClickHouse engine and live sets (internal)")
    engine.add_argument("--port", type=int, default=0)
    engine.set_defaults(run=_engine)

    worker = commands.add_parser("worker", parents=[common], help="jobs and loops")
    worker.set_defaults(run=_worker)
    return parser


def _engine(options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import engine

    return engine.run(options.port)


def _worker(_options: argparse.Namespace) -> int:
    _django()
    from hetang.platform import worker

    return worker.run()


def _django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hetang.settings")
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
