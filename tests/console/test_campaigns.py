"""The walk from campaign to progress in the browser's words, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns import queries, services
from hetang.campaigns.models import Broadcast, Campaign
from hetang.console.campaigns import splits
from hetang.customers.models import Consent
from hetang.platform import clock
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff
from hetang.touch import channels, dispatch, outcomes, planning
from hetang.touch.models import Cap, Programme, QuietHours, SendTask, ShortLink
from tests.console.cast import Cast
from tests.touch import provider
from tests.touch.world import NOW, people


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    clock.freeze(NOW)
    yield
    clock.freeze(None)


@pytest.fixture(autouse=True)
def fake_wecom(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CHANNELS = {"wecom": "tests.touch.provider:tasks"}
    monkeypatch.setenv("FAKE_PROVIDER", str(tmp_path / "provider.sqlite"))
    provider.create()
    channels.channel.cache_clear()
    yield
    channels.channel.cache_clear()


@pytest.fixture
def audience(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Audience:
    root = OrgNode.objects.get(kind="brand")
    members = people(60, list(Staff.objects.order_by("pk")), first=5000)
    made = Audience.objects.create(name="Tea", rule={}, org_node=root, created_at=NOW, updated_at=NOW, count=60)

    def snapshot(audience_id: int) -> AudienceSnapshot:
        kept, _ = AudienceSnapshot.objects.get_or_create(
            audience_id=audience_id,
            sequence=1,
            defaults={
                "at": NOW, "version": 1, "members": members.serialize(), "count": 60, "entered": 60, "left": 0,
            },
        )  # fmt: skip
        return kept

    monkeypatch.setattr(services, "take_snapshot", snapshot)
    return made


def campaign_made(browser: Client) -> Campaign:
    root = OrgNode.objects.get(kind="brand")
    values = {
        "name": "Spring",
        "starts_on": "2026-03-01",
        "ends_on": "2026-03-31",
        "budget": "5000",
        "org_node": root.pk,
    }
    answer = browser.post("/campaigns/new", values)
    assert answer.status_code == 302, answer.content.decode()
    return Campaign.objects.get()


def composition(campaign: Campaign, audience: Audience, **changes: str) -> dict[str, str]:
    return {
        "name": "First flush",
        "campaign": str(campaign.public_id),
        "audience": str(audience.public_id),
        "message_class": "marketing",
        "control": "10",
        "target_url": "https://shop.example/tea",
        "text_1": "New tea is here",
        "when": "now",
        "confirm_days": "3",
        "window_days": "7",
        "replan_after_quiet": "on",
        "do": "split",
    } | changes


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_dates_are_filled_in_in_chinese_too(cast: Cast) -> None:
    """Browsers take ISO days only; Django writes 2026/03/04 in Chinese, which left the required fields empty."""
    user = cast.headquarters
    user.language = "zh-hans"
    user.save()
    client = Client()
    client.force_login(user)
    html = client.get("/campaigns/new").content.decode()
    assert 'lang="zh-Hans"' in html or "zh" in html[:200]
    assert 'name="starts_on" value="2026-03-04"' in html
    assert "全品牌" in html or "Lotus" in html


def test_from_campaign_to_sent(headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    assert campaign.budget == 500_000
    answer = headquarters.post("/campaigns/broadcasts/new", composition(campaign, audience))
    broadcast = Broadcast.objects.get()
    at = f"/campaigns/broadcasts/{broadcast.public_id}/"
    assert answer.headers["Location"] == f"{at}split"
    assert "Confirm and send" in text_of(headquarters.get(f"{at}split"))  # split at once, without another click
    assert headquarters.post(f"{at}split").status_code == 302
    split = text_of(headquarters.get(f"{at}split"))
    assert "Confirm and send" in split
    assert "Control group (not sent)" in split
    for reason in ("no_consent", "control", "send"):
        assert headquarters.get(f"{at}people/{reason}").status_code == 200
    assert headquarters.get(f"{at}people/nonsense").status_code == 404
    assert headquarters.post(f"{at}send").headers["Location"] == f"{at}progress"
    programme = Programme.objects.get()
    planning.run(programme.plan)
    outcomes.run_once()
    dispatch.drain(lambda: dispatch.run_once() > 0, 10)
    while outcomes.run_once() == 0:
        pass
    seen = text_of(headquarters.get(f"{at}progress"))
    assert "Finished" in seen
    assert headquarters.get(at).headers["Location"] == f"{at}progress"
    assert headquarters.get(f"/campaigns/{campaign.public_id}/").status_code == 200
    assert sum(provider.deliveries().values()) == 60 - broadcast_control()


def broadcast_control() -> int:
    return Broadcast.objects.get().programme.plan.groups.get(reason="control").count  # type: ignore[union-attr]


def test_pause_resume_and_cancel_say_what_happens(headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    later = NOW + timedelta(hours=3)
    values = composition(campaign, audience, when="later", slot=f"{later.astimezone(clock.zone()):%Y-%m-%dT%H:%M}")
    headquarters.post("/campaigns/broadcasts/new", values)
    broadcast = Broadcast.objects.get()
    at = f"/campaigns/broadcasts/{broadcast.public_id}/"
    headquarters.post(f"{at}split")
    headquarters.post(f"{at}send")
    programme = Programme.objects.get()
    shown = headquarters.get(f"{at}progress").content.decode()
    poll = f"{at}progress/body?at=0&amp;state=planning"
    assert poll in shown
    assert "Pause" not in text_of(headquarters.get(poll.replace("&amp;", "&")))
    planning.run(programme.plan)
    assert headquarters.get(poll.replace("&amp;", "&")).headers["HX-Refresh"] == "true"
    sending = 60 - broadcast_control()
    assert f"{sending} customers who are not handed over yet are held" in text_of(headquarters.get(f"{at}progress"))
    headquarters.post(f"{at}pause")
    paused = text_of(headquarters.get(f"{at}progress"))
    assert f"{sending} customers who were held go on at once. Advisers get their tasks" in paused
    assert dispatch.claim() is None
    assert "not running" in text_of(headquarters.post(f"{at}pause", follow=True))
    headquarters.post(f"{at}resume")
    headquarters.post(f"{at}cancel")
    while outcomes.run_once() == 0:
        pass
    programme.refresh_from_db()
    assert programme.state == Programme.CANCELLED
    assert f"Cancelled {sending}" in text_of(headquarters.get(f"{at}progress"))


@pytest.mark.parametrize(("control", "arms", "small"), [(19, (93,), True), (20, (93,), False), (40, (60, 12), True)])
def test_the_split_says_beforehand_that_groups_are_too_small_to_measure(
    control: int, arms: tuple[int, ...], small: bool
) -> None:
    parts = queries.Split(audience=200, control=control, variants=list(enumerate(arms, start=1)))
    assert splits._too_small(parts) == small


def test_the_composer_says_what_is_wrong(headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    wrong = composition(
        campaign, audience, text_1="Dear {name}", target_url="shop", control="80", when="later", slot=""
    )
    answer = headquarters.post("/campaigns/broadcasts/new", wrong)
    said = text_of(answer)
    assert answer.status_code == 422
    assert "Enter a number from 0 to 50." in said
    assert "Enter the time as" in said
    assert Broadcast.objects.count() == 0
    fixed = composition(campaign, audience, text_1="Dear {name}", target_url="shop")
    said = text_of(headquarters.post("/campaigns/broadcasts/new", fixed))
    assert "looks like a personal variable" in said
    assert "must begin with https://" in said
    assert Broadcast.objects.count() == 1  # nothing that was written is lost


def test_preview_and_second_text(headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    said = text_of(headquarters.post("/campaigns/broadcasts/preview", composition(campaign, audience)))
    assert "New tea is here" in said
    assert "60 customers" in said
    said = text_of(headquarters.post("/campaigns/broadcasts/new", composition(campaign, audience, do="add_text")))
    assert "Text 2" in said
    assert "By adviser" in said


def test_a_manager_sees_but_neither_makes_nor_sends(manager: Client, headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    headquarters.post("/campaigns/broadcasts/new", composition(campaign, audience))
    broadcast = Broadcast.objects.get()
    at = f"/campaigns/broadcasts/{broadcast.public_id}/"
    headquarters.post(f"{at}split")
    assert manager.get("/campaigns/").status_code == 200
    assert "Confirm and send" not in text_of(manager.get(f"{at}split"))
    for place in ("split", "send", "pause", "cancel"):
        assert manager.post(f"{at}{place}").status_code == 403
    assert manager.get("/campaigns/new").status_code == 403
    assert manager.get("/campaigns/governor").status_code == 403


def test_a_manager_sees_the_progress_of_her_own_part(manager: Client, headquarters: Client, audience: Audience) -> None:
    campaign = campaign_made(headquarters)
    headquarters.post("/campaigns/broadcasts/new", composition(campaign, audience))
    at = f"/campaigns/broadcasts/{Broadcast.objects.get().public_id}/"
    headquarters.post(f"{at}split")
    headquarters.post(f"{at}send")
    planning.run(Programme.objects.get().plan)
    dispatch.drain(lambda: dispatch.run_once() > 0, 10)
    hers = SendTask.objects.filter(staff__store__code="A").aggregate(sum=Sum("people"))["sum"]
    assert 0 < hers < SendTask.objects.aggregate(sum=Sum("people"))["sum"]
    seen = text_of(manager.get(f"{at}progress"))
    assert f"Your customers in it {hers} " in seen
    split = text_of(manager.get(f"{at}split"))
    assert ("Its split counts customers of other places" in split, "See who" in split, "Together" in split) == (
        *(True, True),
        False,
    )
    assert manager.get(f"{at}split/body").status_code == 404
    assert re.search(r"\d customers?", text_of(manager.get(f"{at}people/send"))) is None
    assert re.search(r"\d customers?", text_of(headquarters.get(f"{at}people/send")))
    assert "Control group" not in seen
    assert "Control group" in text_of(headquarters.get(f"{at}progress"))


def test_governor_settings_are_kept_and_audited(headquarters: Client) -> None:
    values: dict[str, Any] = {
        "channel": ["wecom", "", "wecom"], "limit": ["3", "5", ""], "days": ["7", "30", ""],
        "mode": "week", "platform_limit": "", "start": "21:00", "end": "09:00", "quiet_on": "on",
    }  # fmt: skip
    assert headquarters.post("/campaigns/governor", values).status_code == 302
    assert sorted(Cap.objects.values_list("channel", "limit", "days")) == [("", 5, 30), ("wecom", 3, 7)]
    assert QuietHours.objects.get().start.hour == 21
    assert "A cap needs" in text_of(headquarters.post("/campaigns/governor", values | {"limit": ["x", "5", ""]}))
    assert headquarters.get("/campaigns/governor").status_code == 200
    assert "No customer has a friend among the staff yet" in text_of(headquarters.get("/campaigns/quota"))


def test_short_links_lead_on_for_everybody_and_only_where_they_should(db: None) -> None:
    ShortLink.objects.create(code="abc123", target="https://shop.example/tea", created_at=NOW)
    ShortLink.objects.create(code="evil", target="javascript:alert(1)", created_at=NOW)
    anybody = Client(headers={"user-agent": "Mozilla/5.0 (iPhone) MicroMessenger/8.0"})
    answer = anybody.get("/l/abc123?next=https://evil.example")
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://shop.example/tea")
    assert anybody.get("/l/evil").status_code == 404
    assert anybody.get("/l/nothing").status_code == 404
    assert anybody.post("/l/abc123").status_code == 405
    assert anybody.head("/l/abc123").status_code == 302
    assert ShortLink.objects.get(code="abc123").clicks == 1
    for _ in range(40):
        anybody.get("/l/abc123")
    assert ShortLink.objects.get(code="abc123").clicks == 30  # a bound on what one address may count in a minute


@pytest.mark.parametrize(
    ("headers", "counted"),
    [
        ({"user-agent": "Mozilla/5.0 (Linux; Android 14) MicroMessenger/8.0"}, 1),
        ({"user-agent": "Mozilla/5.0", "sec-purpose": "prefetch;prerender"}, 0),
        ({"user-agent": "Mozilla/5.0", "purpose": "prefetch"}, 0),
        ({"user-agent": "Mozilla/5.0 (compatible; Baiduspider/2.0)"}, 0),
        ({"user-agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, 0),
        ({"user-agent": "curl/8.5.0"}, 0),
        ({"user-agent": "Mozilla/5.0 (Linux; CUBOT X30) Chrome/100"}, 1),
        ({}, 0),
    ],
)
def test_only_people_count(db: None, headers: dict[str, str], counted: int) -> None:
    ShortLink.objects.create(code="abc123", target="https://shop.example/tea", created_at=NOW)
    assert Client(headers=headers).get("/l/abc123", REMOTE_ADDR="127.9.9.9").status_code == 302
    assert ShortLink.objects.get(code="abc123").clicks == counted


def test_a_click_that_comes_again_with_its_key_counts_once(db: None) -> None:
    ShortLink.objects.create(code="abc123", target="https://shop.example/tea", created_at=NOW)
    ShortLink.objects.create(code="other", target="https://shop.example/tea", created_at=NOW)
    phone = Client(headers={"user-agent": "Mozilla/5.0"})
    for key in ("open-0001", "open-0001", "open-0002", "bad key!", "bad key!"):
        phone.get("/l/abc123", HTTP_IDEMPOTENCY_KEY=key, REMOTE_ADDR="127.8.8.8")
    phone.get("/l/other", HTTP_IDEMPOTENCY_KEY="open-0001")
    assert ShortLink.objects.get(code="abc123").clicks == 4  # what is no key is none
    assert ShortLink.objects.get(code="other").clicks == 1


def test_a_split_that_leaves_nobody_says_why_and_what_to_do(headquarters: Client, audience: Audience) -> None:
    Consent.objects.filter(customer__in=range(5000, 5025)).update(given=False)
    values = composition(campaign_made(headquarters), audience, when="later", slot="2026-03-04T22:30")
    headquarters.post("/campaigns/broadcasts/new", values)
    at = f"/campaigns/broadcasts/{Broadcast.objects.get().public_id}/"
    page = headquarters.get(f"{at}split")
    assert "Nobody of these 60 customers is left to send to: No consent 25 Choose customers who" in text_of(page)
    assert "Quiet hours 35 The planned time lies in quiet hours: choose one after 2026-03-05 08:00." in text_of(page)
    assert f'href="{at}edit"' in page.content.decode().partition('class="button button-primary"')[2]
    said = (
        "None of the 60 customers of the audience is left to send to. No consent: 25; Quiet hours: 35."
        " The planned time lies in quiet hours: choose one after 2026-03-05 08:00."
    )
    assert said in text_of(headquarters.post(f"{at}send", follow=True))
    headquarters.post("/language", {"language": "zh-hans", "next": "/"})
    counted = "人群 60 人中没有可发送的客户。未同意营销：25 人；免打扰时段：35 人。"
    assert f"{counted}计划时间处于免打扰时段，请改到 2026-03-05 08:00 之后。" in text_of(
        headquarters.post(f"{at}send", follow=True)
    )
