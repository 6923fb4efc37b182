"""nginx with the sample of `deploy/`, on free ports of this machine, before some server. Needs nginx and openssl."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "deploy" / "nginx"
MISSING = shutil.which("nginx") is None or shutil.which("openssl") is None


@dataclass
class Nginx:
    """A running one. `port` speaks TLS for the name `localhost`; `certificate` is what to trust."""

    process: subprocess.Popen[bytes]
    port: int
    certificate: Path

    def stop(self) -> None:
        """End it with its workers."""
        self.process.terminate()
        self.process.wait(timeout=20)


def start(folder: Path, target: int) -> Nginx:
    """Start nginx as the sample says, its public name being `localhost` and its public listener `target`."""
    port, plain = _free(), _free()
    certificate, key = folder / "x.pem", folder / "x.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    text = (SAMPLE / "hetang.conf").read_text()
    text = re.sub(r"/etc/nginx/tls/\S+\.(pem|key)", rf"{folder}/x.\1", text)
    text = text.replace("/etc/nginx/hetang_proxy.conf", str(SAMPLE / "hetang_proxy.conf"))
    text = text.replace("m.example.com", "localhost").replace("127.0.0.1:8080", f"127.0.0.1:{target}")
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("listen 80", f"listen 127.0.0.1:{plain}")
    temporary = "".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    folder.chmod(0o755)
    process = subprocess.Popen(["nginx", "-c", str(conf), "-e", str(folder / "error.log"), "-p", str(folder)])
    found = Nginx(process, port, certificate)
    _wait(found)
    return found


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client needs to believe it."""
    return ssl.create_default_context(cafile=str(certificate))


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(one: Nginx) -> None:
    from tests.processes import wait_until

    def listens() -> bool:
        assert one.process.poll() is None, (one.certificate.parent / "error.log").read_text()
        with socket.socket() as look:
            return look.connect_ex(("127.0.0.1", one.port)) == 0

    wait_until(listens, 20)
