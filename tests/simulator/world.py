"""A small corp that tests play with, and a bare client without any of the connector's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from hetang.simulator.admin import SimulatorAdmin

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SINCE = 1_700_000_000


@dataclass
class World:
    admin: SimulatorAdmin
    http: httpx.Client
    corpid: str
    secret: str
    people: list[str]
    token: str = ""

    def call(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """POST with a body, GET without one, with the current token."""
        params = {"access_token": self.token, **query}
        answer = self.http.get(path, params=params) if body is None else self.http.post(path, params=params, json=body)
        assert answer.status_code == 200
        return dict(answer.json())

    def sign_in(self) -> None:
        self.token = self.call("gettoken", corpid=self.corpid, corpsecret=self.secret)["access_token"]

    def send(self, sender: str, people: list[str], text: str = "hello") -> str:
        body = {"sender": sender, "external_userid": people, "text": {"content": text}}
        answer = self.call("externalcontact/add_msg_template", body)
        assert answer["errcode"] == 0, answer
        return str(answer["msgid"])

    def statuses(self, msgid: str, userid: str) -> dict[str, int]:
        answer = self.call("externalcontact/get_groupmsg_send_result", {"msgid": msgid, "userid": userid})
        return {one["external_userid"]: one["status"] for one in answer["send_list"]}


def found(admin: SimulatorAdmin, http: httpx.Client, *, rate: float = 0.0, callback_url: str = "") -> World:
    """Seed the corp and sign in."""
    admin.settings(seed=7)
    app: dict[str, Any] = {"agentid": 1000002, "callback_url": callback_url}
    app |= {"callback_token": "token123", "callback_aes_key": AES_KEY} if callback_url else {}
    corp = admin.corp("Lotus", [app], corpid="ww0123456789abcdef")
    admin.departments([{"id": 2, "name": "S1"}, {"id": 3, "name": "S2"}])
    admin.staff(
        [
            {"userid": "anna", "name": "Anna", "departments": [2], "store": "S1"},
            {"userid": "bo", "name": "Bo", "departments": [3], "store": "S2"},
            {"userid": "carl", "name": "Carl", "customer_contact": False},
        ]
    )
    people = admin.people(
        {
            "key": f"c{number}",
            "name": f"Person {number}",
            "identities": [["member", f"m{number}"]],
            "basket": 1000,
            "daily_rate": rate,
            "store": "S1",
        }
        for number in range(5)
    )
    admin.relations(
        {"userid": "anna" if number < 3 else "bo", "external_userid": person, "createtime": SINCE + number}
        for number, person in enumerate(people)
    )
    world = World(admin, http, corp["corpid"], corp["apps"][0]["secret"], people)
    world.sign_in()
    return world
