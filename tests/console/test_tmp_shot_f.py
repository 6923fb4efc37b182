import os

import pytest
from playwright.sync_api import sync_playwright

from tests.console import cast as people
from tests.console.test_simulator_page import simulator, world  # noqa

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.mark.filterwarnings("ignore")
def test_shot(live_server, transactional_db, world):
    from hetang.platform import brand

    brand.forget()
    people.make()
    world.send("anna", world.people[:3], "新品到店,会员八折 https://h.example/l/ab1")
    m = world.send("bo", world.people[3:], "周末品鉴会,欢迎到店")
    world.admin.confirm(m)
    world.admin.advance(3 * 86400)
    world.sign_in()
    world.send("anna", world.people[:2], "第二条群发")
    with sync_playwright() as p:
        b = p.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        for lang in ("zh-CN", "en"):
            for w in (1280, 390):
                c = b.new_context(locale=lang, viewport={"width": w, "height": 900})
                pg = c.new_page()
                msgs = []
                pg.on("console", lambda m: msgs.append(m.text))
                from hetang.platform.models import User

                User.objects.filter(username="headquarters").update(language="zh-hans" if lang == "zh-CN" else "en")
                pg.goto(live_server.url + "/login")
                pg.fill("[name=username]", "headquarters")
                pg.fill("[name=password]", people.PASSWORD)
                pg.click("main button[type=submit], form button.button-primary")
                pg.goto(live_server.url + "/simulator/")
                pg.screenshot(path=f"/tmp/shots/{lang}-{w}.png", full_page=True)
                print(lang, w, msgs, pg.evaluate("document.documentElement.scrollWidth"))
        b.close()
