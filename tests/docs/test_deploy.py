"""The samples of `deploy/` agree with the code: settings, commands, addresses, ports."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

from hetang import cli
from hetang.platform import registry_values
from hetang.platform.registry import SETTINGS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
BY_ENV = {one.env: one for one in SETTINGS.values()}
ENV_FILE = dict(re.findall(r"^#? ?(HETANG_\w+)=(.*)$", (DEPLOY / "systemd/hetang.env").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_exists_and_its_value_is_one(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"HETANG_[A-Z_]+", text)) <= BY_ENV.keys()
    for name, value in re.findall(r"(HETANG_[A-Z_]+)[=:] ?([^\s#][^#\n]*)", text):
        registry_values.parse(BY_ENV[name], value.split(" HETANG")[0].strip(". )`").strip())


def test_the_commands_exist() -> None:
    unit = (DEPLOY / "systemd/hetang.service").read_text()
    started = re.search(r"^ExecStart=\S+/hetang (.*)$", unit, re.MULTILINE)
    assert started
    options = cli._parser().parse_args(started[1].split())
    assert (options.host, options.port) == ("127.0.0.1", 8000)
    image = (DEPLOY / "container/Containerfile").read_text()
    assert cli._parser().parse_args(re.findall(r'"([^"]+)"', image.rpartition("CMD")[2])).host == "0.0.0.0"


def test_nginx_lets_pass_what_the_public_listener_serves_and_goes_to_the_ports_of_the_service() -> None:
    nginx = (DEPLOY / "nginx/hetang.conf").read_text()
    opened = [one for group in re.findall(r"location ~ \^/\(([^)]+)\)", nginx) for one in group.split("|")]
    served = {prefix for part in settings.PUBLIC_PATHS.values() for prefix in part}
    assert sorted(f"/{one}" for one in opened) == sorted(served)
    assert f"server {ENV_FILE['HETANG_PUBLIC_LISTEN']}" in nginx
    assert "server 127.0.0.1:8000" in nginx
    names = registry_values.parse(BY_ENV["HETANG_ALLOWED_HOSTS"], ENV_FILE["HETANG_ALLOWED_HOSTS"])
    assert isinstance(names, list)
    for name in names:
        assert f"server_name {name};" in nginx


def test_the_image_copies_what_is_there() -> None:
    image = (DEPLOY / "container/Containerfile").read_text()
    copied = [one for line in re.findall(r"^COPY (?!--)(.+) \S+$", image, re.MULTILINE) for one in line.split()]
    assert [one for one in copied if not (ROOT / one).exists()] == []
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [wheel["project"]["readme"], *wheel["project"]["license-files"], "hatch_build.py", "tools", "src"]
    needed += wheel["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert set(needed) <= set(copied)  # what the wheel is made of


@pytest.mark.skipif(shutil.which("nginx") is None, reason="NO NGINX: install nginx to check its sample")
def test_nginx_reads_its_sample(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
    subprocess.run(
        [*certificate, "-keyout", tls / "x.key", "-out", tls / "x.pem"], check=True, capture_output=True, timeout=30
    )
    text = (DEPLOY / "nginx/hetang.conf").read_text()
    text = re.sub(r"/etc/nginx/tls/\S+\.(pem|key)", rf"{tls}/x.\1", text)
    text = text.replace("/etc/nginx/hetang_proxy.conf", str(DEPLOY / "nginx/hetang_proxy.conf"))
    conf = tmp_path / "nginx.conf"
    log = tmp_path / "error.log"
    conf.write_text(f"pid {tmp_path}/pid;\nerror_log {log};\nevents {{}}\nhttp {{\n{text}\n}}\n")
    done = subprocess.run(
        ["nginx", "-t", "-c", conf, "-e", log], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="NO SYSTEMD: its sample is not checked here")
def test_systemd_reads_its_sample(tmp_path: Path) -> None:
    unit = tmp_path / "hetang.service"
    text = (DEPLOY / "systemd/hetang.service").read_text()
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=30, check=False
    )
    about_it = [line for line in done.stderr.splitlines() if "hetang.service" in line and "Failed to" not in line]
    assert about_it == [], done.stderr
