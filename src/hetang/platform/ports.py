"""Loopback ports of this home: chosen free, kept in `home/run/ports.json`, so that they stay the same over restarts."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether one could listen on `host`:`port` now."""
    return not obstacle(port, host)


def obstacle(port: int, host: str = "127.0.0.1") -> str:
    """Why one cannot listen on `host`:`port` now, for people; empty when one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return f"port {port} may be opened by root only; let a proxy listen there (see deploy/)"
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                return f"port {port} of {host} is taken"
            return f"{host} is no address of this machine"
    return ""


def remembered(home: Path) -> dict[str, int]:
    """The ports of the last start, by the name of the process."""
    try:
        found = json.loads(_file(home).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): int(port) for name, port in found.items()}


def remember(home: Path, ports: dict[str, int]) -> None:
    """Write down the ports of this start."""
    draft = _file(home).with_suffix(".new")
    draft.write_text(json.dumps(ports))
    draft.replace(_file(home))


def internal(home: Path, name: str) -> int:
    """A free loopback port for `name`, the one of the last start if it still is free."""
    port = remembered(home).get(name, 0)
    return port if port and is_free(port) else free_port()


def _file(home: Path) -> Path:
    return home / "run" / "ports.json"
