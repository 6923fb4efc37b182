"""Files: what was uploaded comes back, and what the platform fetches by itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hetang.simulator import uploads
from tests.simulator.local import Corp

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
FILM = b"film" * 1000
MD5 = hashlib.md5(FILM, usedforsecurity=False).hexdigest()
GET, BY_URL, RESULT = "media/get", "media/upload_by_url", "media/get_upload_by_url_result"


def upload(corp: Corp) -> str:
    answer = corp.http.post(
        "media/upload", params={"access_token": corp.token, "type": "image"}, files={"media": ("荷.png", PICTURE)}
    )
    return str(answer.json()["media_id"])


def fetch(corp: Corp, media_id: str, **headers: str) -> Any:
    return corp.http.get(GET, params={"access_token": corp.token, "media_id": media_id}, headers=headers)


def test_what_was_uploaded_comes_back_whole_and_in_parts(corp: Corp) -> None:
    media_id = upload(corp)
    whole = fetch(corp, media_id)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, PICTURE, "image/png")
    assert whole.headers["content-disposition"] == 'attachment; filename="%E8%8D%B7.png"'
    part = fetch(corp, media_id, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, PICTURE[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(PICTURE)}"
    assert fetch(corp, media_id, Range="bytes=200-").content == PICTURE[200:]
    assert fetch(corp, media_id, Range="bytes=9999-").status_code == 200


def test_a_recording_is_a_voice(corp: Corp) -> None:
    params = {"access_token": corp.token, "type": "voice"}
    voice = corp.http.post("media/upload", params=params, files={"media": ("a.amr", b"#!AMR\n...")}).json()["media_id"]
    asked = {"access_token": corp.token, "media_id": voice}
    answer = corp.http.get("media/get/jssdk", params=asked)
    assert (answer.content, answer.headers["content-type"]) == (b"#!AMR\n...", "audio/speex")
    answer = corp.http.get("media/get/jssdk", params=asked | {"media_id": upload(corp)})
    assert answer.json()["errcode"] == 40007


def test_a_media_id_lives_three_days(corp: Corp) -> None:
    media_id = upload(corp)
    assert fetch(corp, "gone").json()["errcode"] == 40007
    assert fetch(corp, "").json()["errcode"] == 41006
    corp.pass_time(3 * 86400)
    assert fetch(corp, media_id).json()["errcode"] == 40007
    upload(corp)
    with corp.local.state.transaction() as db:  # its bytes are given back
        assert db.execute("select count(*) from media where content is not null").fetchone()[0] == 1


@pytest.fixture
def shop() -> Iterator[str]:
    """Where the brand keeps its film."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/film.mp4" else 404)
            self.send_header("Content-Length", str(len(FILM)))
            self.end_headers()
            self.wfile.write(FILM)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(corp: Corp, url: str, /, **more: Any) -> dict[str, Any]:
    return corp.call(BY_URL, {"scene": 1, "type": "video", "filename": "f.mp4", "url": url, "md5": MD5, **more})


def test_the_platform_fetches_a_file_and_says_when_it_has_it(corp: Corp, shop: str) -> None:
    job = asked(corp, f"{shop}/film.mp4")["jobid"]
    assert corp.call(RESULT, {"jobid": job})["status"] == 1
    assert uploads.work(corp.local.state) == 1
    found = corp.call(RESULT, {"jobid": job})
    assert (found["status"], found["detail"]["errcode"]) == (2, 0)
    assert fetch(corp, found["detail"]["media_id"]).content == FILM
    assert corp.events() == [{"Event": "upload_media_job_finish", "JobId": job}]
    assert uploads.work(corp.local.state) == 0


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [("/film.mp4", {"md5": "0" * 32}, 301019), ("/nothing", {}, 830003), ("", {"url": "ftp://x/y"}, 830001)],
)
def test_a_fetch_that_fails(corp: Corp, shop: str, path: str, change: dict[str, Any], code: int) -> None:
    job = asked(corp, shop + path, **change)["jobid"]
    uploads.work(corp.local.state)
    found = corp.call(RESULT, {"jobid": job})
    assert (found["status"], found["detail"]["errcode"], found["detail"]["media_id"]) == (3, code, "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scene": 2}, 40058),
        ({"type": "image"}, 40004),
        ({"filename": ""}, 40058),
        ({"filename": "荷" * 43}, 40058),
        ({"md5": "x"}, 40058),
    ],
)
def test_refused(corp: Corp, change: dict[str, Any], code: int) -> None:
    assert asked(corp, "http://127.0.0.1:9/", **change)["errcode"] == code


def test_a_job_is_known_for_an_hour(corp: Corp) -> None:
    job = asked(corp, "ftp://x/y")["jobid"]
    assert corp.code(RESULT, {}) == 40088
    assert corp.code(RESULT, {"jobid": "another"}) == 40089
    corp.pass_time(3600)
    assert corp.code(RESULT, {"jobid": job}) == 40089
