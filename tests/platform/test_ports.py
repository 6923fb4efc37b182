"""Why one cannot listen, as people are told."""

from __future__ import annotations

import socket

from hetang.platform import ports


def test_each_obstacle_has_its_own_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ports.obstacle(port) == f"port {port} of 127.0.0.1 is taken"
    assert ports.obstacle(port) == ""
    assert ports.obstacle(port, "192.0.2.1") == "192.0.2.1 is no address of this machine"
