"""The page of a tag group and WeCom: chosen, told in words, refused with a remedy."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from hetang.connectors.wecom.models import App, Corp, CorpTag, TagDirection, TagStep
from hetang.customers import services
from hetang.customers.models import Tag
from hetang.platform import clock
from hetang.platform.models import AuditEntry
from hetang.platform.sealing import seal

pytestmark = pytest.mark.django_db


def test_a_way_is_chosen_and_refusals_name_the_remedy(headquarters: Client) -> None:
    group = services.create_group("Mood")
    tag = services.create_tag(group, "calm")
    page = reverse("customers:tag-wecom", args=[group.pk])
    assert b"WeCom is not connected" in headquarters.get(page).content
    corp = Corp.objects.create(corpid="ww0001", is_default=True, created_at=clock.now())
    App.objects.create(corp=corp, agentid=7, secret=seal(b"x"), changed_at=clock.now())
    assert "1 tag would be made in WeCom, which has 0 in all." in headquarters.get(page).content.decode()
    headquarters.post(page, {"direction": "sideways"})
    assert not TagDirection.objects.exists()
    headquarters.post(page, {"direction": "out"})
    assert AuditEntry.objects.get(action="tag_group.wecom").changes["direction"] == ["", "out"]
    TagStep.objects.create(corp=corp, tag=tag, verb="make", name="calm", state="refused", code=40126)
    assert "as many tags as it may have" in headquarters.get(page).content.decode()
    assert "refused by WeCom" in headquarters.get(reverse("customers:tags")).content.decode()
    headquarters.post(reverse("customers:tag-wecom-again", args=[group.pk]))
    assert TagStep.objects.get().state == TagStep.WAITING
    headquarters.post(page, {"direction": "in"})
    CorpTag.objects.create(corp=corp, tag_id="et1", group_id="et2", name="calm", ours=tag)
    headquarters.post(reverse("customers:tag-rename", args=[tag.pk]), {"name": "quiet"})
    assert Tag.objects.get().name == "calm"  # the name is WeCom's
