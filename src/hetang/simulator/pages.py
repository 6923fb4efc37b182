"""Pages for a person with a browser: signing on as a member, and playing customers and staff. No scripts.

Everything says that it is simulated. Playing needs the simulator's secret, once in the address and then in a cookie.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from hetang.simulator import play, sign_on
from hetang.simulator.administration import Running
from hetang.simulator.errors import WeComError
from hetang.simulator.pictures import draw

COOKIE = "simulator"
SIGN_ON = {"/connect/oauth2/authorize", "/wwlogin/sso/login", "/wwopen/sso/qrConnect"}
_HEAD = (
    "<!doctype html><html lang=zh-CN><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>模拟企业微信 Simulated WeCom</title><link rel=stylesheet href=/play.css><main>"
    "<p class=note>模拟环境：没有真实的客户或消息。 Simulated: no real customer, no real message.</p>"
)
_STYLE = b"""body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f5f6f7;color:#1f2329}
main{max-width:56rem;margin:0 auto;padding:1rem}section{background:#fff;border-radius:8px;padding:1rem;margin:1rem 0}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:0 0 .5rem}.note{color:#8a5a00}ul{list-style:none;padding:0;margin:0}
li{padding:.4rem 0;border-top:1px solid #eee;overflow-wrap:anywhere}form{display:inline-flex;flex-wrap:wrap;gap:.4rem}
button,select,input{font:inherit;padding:.35rem .7rem;border:1px solid #bbb;border-radius:6px;background:#fff;
max-width:100%}button{background:#0b57a4;color:#fff;border-color:#0b57a4}
button.quiet{background:#fff;color:#1f2329;border-color:#bbb}a{color:#0b57a4}img{width:96px;display:block}
.done{background:#e5f4ea;padding:.5rem .8rem;border-radius:6px}.bad{background:#fdecea;padding:.5rem .8rem}
@media (prefers-color-scheme:dark){:root{color-scheme:dark}body{background:#141617;color:#e4e6e8}
section{background:#1d2022}li{border-color:#33373a}.note{color:#e0b050}a{color:#8ab4f0}
button.quiet,select,input{background:#26292c;color:#e4e6e8;border-color:#565b60}
.done{background:#16351f}.bad{background:#43201c}}"""


@dataclass
class Page:
    """What to write: status, body, type, headers."""

    body: bytes
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visit:
    """One request of a browser."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    host: str
    cookies: str


def answer(running: Running, secret: str, visit: Visit) -> Page | None:
    """The page for a visit; None where there is none."""
    if visit.path.startswith("/pictures/"):
        kind, _, name = visit.path.removeprefix("/pictures/").removesuffix(".png").partition("/")
        picture = draw(kind, name, f"http://{visit.host}")
        return None if picture is None else Page(picture, kind="image/png")
    if visit.path == "/play.css":
        return Page(_STYLE, kind="text/css")
    if visit.path in SIGN_ON:
        return _sign_on(running, visit)
    if visit.path in {"", "/play"} or visit.path.startswith("/play/"):
        return _play(running, secret, visit)
    return None


def _sign_on(running: Running, visit: Visit) -> Page:
    """Who is it? The person picks a member, and the app gets a code for him."""
    query = visit.query
    target, agentid = query.get("redirect_uri", ""), query.get("agentid", "")
    state = running.state
    try:
        with state.transaction() as db:
            app = sign_on.app_of(state, db, query.get("appid", ""), agentid, target)
            if "pick" in query:
                private = query.get("scope") == "snsapi_privateinfo"
                code = sign_on.issue(state, db, app["agentid"], userid=query["pick"], private=private)
                return _redirect(target, {"code": code, "state": query.get("state", ""), "appid": query["appid"]})
            rows = db.execute(
                "select userid, name from member where left_at is null and status = 1 order by name limit 500"
            ).fetchall()
    except WeComError as problem:
        return _page(f"<h1>无法登录 Sign-on refused</h1><p class=bad>{escape(str(problem))}</p>", 400)
    links = "".join(
        f"<li><a href='?{escape(urlencode({**query, 'pick': row['userid']}))}'>{escape(row['name'])}"
        f" ({escape(row['userid'])})</a>"
        for row in rows
    )
    title = f"以谁的身份登录「{escape(app['name'])}」？ Sign on to it as whom?"
    return _page(f"<h1>{title}</h1><section><ul>{links}</ul></section>")


def _redirect(target: str, more: Mapping[str, str]) -> Page:
    place = urlsplit(target)
    query = urlencode([*parse_qsl(place.query), *more.items()])
    return Page(b"", 302, headers={"Location": place._replace(query=query, fragment="").geturl()})


def _play(running: Running, secret: str, visit: Visit) -> Page:
    given = visit.query.get("key", "") or _cookie(visit.cookies)
    if not hmac.compare_digest(given.encode(), secret.encode()):
        text = "请用启动时显示的地址打开。 Open the address that was printed at the start."
        return _page(f"<p class=bad>{text}</p>", 401)
    if visit.query.get("key"):
        cookie = f"{COOKIE}={secret}; Path=/play; HttpOnly; SameSite=Strict"
        return Page(b"", 302, headers={"Location": "/play", "Set-Cookie": cookie})
    if visit.method == "POST":
        told = dict(parse_qsl(visit.body.decode(errors="replace")))
        return _redirect("/play", play.act(running, visit.path.removeprefix("/play/"), told))
    return _page(play.show(running, visit.query))


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _page(inner: str, status: int = 200) -> Page:
    policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Page((_HEAD + inner + "</main>").encode(), status, headers=headers)
