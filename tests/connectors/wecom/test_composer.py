"""Pictures from the composer's form to the tasks of the simulated WeCom, as an operator's browser sends them."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns import services
from hetang.campaigns.models import Broadcast, Picture
from hetang.platform import access, brand, clock
from hetang.platform.models import Brand, Grant, OrgNode, User
from hetang.platform.roles import HEADQUARTERS
from hetang.simulator.admin import SimulatorAdmin
from hetang.touch import dispatch, outcomes, planning
from hetang.touch.models import Programme
from tests.connectors.wecom.conftest import PEOPLE
from tests.touch.world import NOW

PAGE = "/campaigns/broadcasts/new"


@pytest.fixture(autouse=True)
def still(admin: SimulatorAdmin) -> Iterator[None]:
    clock.freeze(NOW)
    admin.clock(NOW.timestamp() - time.time())
    brand.forget()
    yield
    clock.freeze(None)
    brand.forget()


@pytest.fixture
def form(members: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The fields of a broadcast to everybody, in a campaign of the brand."""
    Brand.objects.update_or_create(id=1, defaults={"name": "Lotus", "currency": "CNY"})
    root = OrgNode.objects.get(kind="brand")
    audience = Audience.objects.create(name="All", rule={}, org_node=root, created_at=NOW, updated_at=NOW)
    snapshot = AudienceSnapshot.objects.create(
        audience=audience, sequence=1, at=NOW, version=1, members=BitMap(range(1, PEOPLE + 1)).serialize(),
        count=PEOPLE, entered=PEOPLE, left=0,
    )  # fmt: skip
    monkeypatch.setattr(services, "take_snapshot", lambda _audience: snapshot)
    fields = services.CampaignFields("Spring", NOW.date(), NOW.date(), root.pk)
    campaign = services.save_campaign(access.system("t"), fields)
    return {
        "name": "First flush", "campaign": str(campaign.public_id), "audience": str(audience.public_id),
        "message_class": "marketing", "control": "10", "target_url": "https://shop.example/tea", "text_1": "New tea",
        "when": "now", "confirm_days": "3", "window_days": "7",
    }  # fmt: skip


@pytest.fixture
def browser(form: dict[str, str]) -> Client:
    user = User.objects.create(username="hq", created_at=NOW, language="en")
    Grant.objects.create(user=user, role=HEADQUARTERS, org_node=OrgNode.objects.get(kind="brand"))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def picture(name: str = "tea.jpg", size: tuple[int, int] = (900, 600), kind: str = "JPEG") -> SimpleUploadedFile:
    stream = io.BytesIO()
    Image.new("RGB", size, (30, 120, 60)).save(stream, kind)
    return SimpleUploadedFile(name, stream.getvalue(), "image/jpeg")


def test_pictures_reach_the_tasks(admin: SimulatorAdmin, browser: Client, form: dict[str, str]) -> None:
    chosen = browser.post("/campaigns/broadcasts/pictures/1", form | {"upload_1": [picture()]}).content.decode()
    (image,) = re.findall(r'name="picture_1" value="([^"]+)"', chosen)
    assert f'src="/campaigns/pictures/{image}"' in chosen
    thumbnail = browser.get(f"/campaigns/pictures/{image}")
    assert (thumbnail.status_code, thumbnail["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(thumbnail.content)).size == (480, 320)

    card = {"card_1": "on", "card_title_1": "First flush", "card_desc_1": "Only this week", "picture_1": image}
    values = form | card | {"card_upload_1": picture("card.png", (300, 300), "PNG"), "do": "split"}
    answer = browser.post(PAGE, values)
    broadcast = Broadcast.objects.get()
    at = f"/campaigns/broadcasts/{broadcast.public_id}"
    assert answer["Location"] == f"{at}/split"
    first, second = Picture.objects.order_by("pk")
    assert broadcast.variants[0]["attachments"] == [
        {"type": "image", "image": first.address, "name": "tea.jpg", "picture": image},
        {"type": "link", "title": "First flush", "desc": "Only this week", "picurl": second.address,
         "picture": str(second.public_id)},
    ]  # fmt: skip
    assert f"/campaigns/pictures/{second.public_id}" in browser.get(f"{at}/edit").content.decode()

    browser.post(f"{at}/split")
    planning.run(Broadcast.objects.get().dry_run)
    browser.post(f"{at}/send")
    planning.run(Programme.objects.get().plan)
    for _ in range(40):
        dispatch.run_once()
        outcomes.run_once()
    tasks = admin.tasks()["tasks"]
    assert len(tasks) == 10
    link = tasks[0]["attachments"][1]["link"].pop("url")
    assert "/l/" in link
    assert tasks[0]["attachments"] == [
        {"msgtype": "image", "image": {"pic_url": first.address}},
        {"msgtype": "link", "link": {"title": "First flush", "desc": "Only this week", "picurl": second.address}},
    ]
    admin.confirm()
    assert admin.received()["received"] == {"1": sum(task["people"] for task in tasks)}


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (SimpleUploadedFile("note.pdf", b"%PDF-1.7 nothing"), "“note.pdf” is not a JPG or PNG picture"),
        (SimpleUploadedFile("a.gif", b"GIF89a" + bytes(100)), "“a.gif” is not a JPG or PNG picture"),
        (SimpleUploadedFile("empty.png", b""), "“empty.png” is empty"),
        (SimpleUploadedFile("big.jpg", b"\xff\xd8\xff" + bytes(3 << 20)), "“big.jpg” has 3.0 MB; WeCom takes at"),
        (SimpleUploadedFile("half.jpg", picture().read()[:2000]), "“half.jpg” is damaged"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_and_the_rest_is_kept(
    admin: SimulatorAdmin, browser: Client, form: dict[str, str], upload: SimpleUploadedFile, said: str
) -> None:
    upload.seek(0)
    html = browser.post("/campaigns/broadcasts/pictures/1", form | {"upload_1": [upload, picture()]}).content.decode()
    assert said in html
    assert html.count('name="picture_1"') == 1
    assert admin.status()["calls"] == {"media/uploadimg": 1, "gettoken": 1}
    upload.seek(0)
    answer = browser.post(PAGE, form | {"upload_1": upload, "do": "split"})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Broadcast.objects.exists()


def test_what_wecom_says_is_told(admin: SimulatorAdmin, browser: Client, form: dict[str, str]) -> None:
    admin.fault("error", "media/uploadimg", code=45009)
    html = browser.post("/campaigns/broadcasts/pictures/1", form | {"upload_1": picture()}).content.decode()
    assert "WeCom did not take “tea.jpg”" in html
    assert not Picture.objects.exists()


def test_the_same_picture_is_uploaded_once_and_one_can_be_dropped(
    admin: SimulatorAdmin, browser: Client, form: dict[str, str]
) -> None:
    take = "/campaigns/broadcasts/pictures/1"
    html = browser.post(take, form | {"upload_1": [picture(), picture("again.jpg")]}).content.decode()
    (image,) = re.findall(r'name="picture_1" value="([^"]+)"', html)
    assert admin.status()["calls"]["media/uploadimg"] == 1
    many = [picture(f"{n}.jpg", (10 + n, 10)) for n in range(10)]
    html = browser.post(take, form | {"picture_1": image, "upload_1": many}).content.decode()
    assert html.count('name="picture_1"') == 9
    assert "At most 9 attachments are possible." in html
    kept = re.findall(r'name="picture_1" value="([^"]+)"', html)
    html = browser.post(take, form | {"picture_1": kept, "do": f"drop_1_{image}"}).content.decode()
    assert re.findall(r'name="picture_1" value="([^"]+)"', html) == kept[1:]
    answer = browser.post(PAGE, form | {"picture_1": ["11111111-1111-1111-1111-111111111111"], "do": "split"})
    assert (answer.status_code, "was not uploaded" in answer.content.decode()) == (422, True)
