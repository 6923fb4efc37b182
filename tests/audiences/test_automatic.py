"""Tags that the rule of an audience keeps: facts, sets, rows of bits and single persons say the same."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pyroaring import BitMap

from hetang.audiences import automatic, queries, services, verification
from hetang.audiences.errors import AudienceInUse, NotWholeBrand, TagInUse
from hetang.audiences.models import Audience, AutomaticTag, Staying
from hetang.audiences.rules import InvalidRule
from hetang.audiences.verification import SetDifference
from hetang.customers import kept
from hetang.customers import queries as customers
from hetang.customers.errors import GroupExclusive, TagKept
from hetang.customers.kept_bits import CHUNK_BYTES
from hetang.customers.models import BulkChange, Customer, CustomerTag, KeptChange, KeptChunk, KeptTag, Tag, TagGroup
from hetang.customers.services import change_tag
from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact, HeldFact
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import brand, clock, engine_client, roles
from hetang.platform.models import Brand, Grant, OrgNode, User
from tests.audiences.three_people import EVERYTHING, GOLD, HEADQUARTERS, NOW, gold, number, save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.usefixtures("three_people"),
]


def star(audience: Audience, **more: Any) -> Tag:
    group, _ = TagGroup.objects.get_or_create(name="Automatic")
    return automatic.create(HEADQUARTERS, name="Star", group=group, audience=audience, **more)


def wearing(tag: Tag) -> set[int]:
    """Who wears the tag, by all six readings of it."""
    row = KeptTag.objects.get(tag=tag)
    members = set(kept.members_of(tag.pk))
    assert set(kept.folded(tag)) == members
    assert set(kept.from_bits(tag.pk)) == members
    rule = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": [tag.code]}}
    assert set(queries.evaluate(rule, EVERYTHING)) == members
    everybody = Customer.objects.filter(merged_into=None)
    assert {one.number for one in everybody if queries.explain(rule, one.number).holds} == members
    assert set(kept.wearing(everybody, row).values_list("number", flat=True)) == members
    return members


def test_the_tag_is_on_exactly_those_who_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = save()
    tag = star(golden)
    golden.refresh_from_db()
    assert golden.live, "what keeps a tag is refreshed by itself"
    gold("ann", True, 1)
    gold("bea", True, 2)
    services.take_snapshot(golden.id)
    assert wearing(tag) == {number("ann"), number("bea")}
    gold("ann", False, 3)
    services.take_snapshot(golden.id)
    services.take_snapshot(golden.id)
    monkeypatch.setattr(kept, "FEW", 0)  # more are looked up in the rows of bits
    assert wearing(tag) == {number("bea")}
    facts = Fact.objects.filter(kind__in=[kept.PUT_ON, kept.TAKEN_OFF]).order_by("id").values_list("kind", "body")
    body = {"tag": tag.code, "audience": golden.id}
    assert list(facts) == [(kept.PUT_ON, body), (kept.TAKEN_OFF, body)]
    assert queries.tag_sizes() == {tag.pk: 1, Tag.objects.get(code="gold").pk: 1}
    assert [one.number for one in customers.listed(Customer.objects.all(), tag=tag.code)] == [number("bea")]
    bea = Customer.objects.get(number=number("bea"))
    assert [one.name for one in customers.portrait(bea.public_id, NOW).kept_tags] == ["Star"]


def test_who_left_wears_it_for_some_days_more() -> None:
    golden = save()
    tag = star(golden, stay_days=3)
    gold("ann", True, 1)
    gold("bea", True, 2)
    services.take_snapshot(golden.id)
    gold("ann", False, 3)
    gold("bea", False, 4)
    clock.freeze(NOW + timedelta(minutes=1))
    services.take_snapshot(golden.id)
    assert wearing(tag) == {number("ann"), number("bea")}
    gold("bea", True, 5)
    clock.freeze(NOW + timedelta(days=1))
    services.take_snapshot(golden.id)
    gold("bea", False, 6)
    clock.freeze(NOW + timedelta(days=2))
    services.take_snapshot(golden.id)
    clock.freeze(NOW + timedelta(days=3, hours=2))
    services.take_snapshot(golden.id)
    assert wearing(tag) == {number("bea")}, "ann left three days ago, bea came back and left again"
    clock.freeze(NOW + timedelta(days=5, hours=2))
    services.take_snapshot(golden.id)
    assert (wearing(tag), Staying.objects.count()) == (set(), 0)


def test_merge_un_merge_and_erasure() -> None:
    golden = save()
    tag = star(golden, stay_days=3)
    gold("bea", True, 1)
    services.take_snapshot(golden.id)
    ann, bea = number("ann"), number("bea")
    gold("bea", False, 2)
    services.take_snapshot(golden.id)
    record("crm", [Draft("customer.identified", "m", NOW, [("member", "ann"), ("member", "bea")])])
    run_until_idle()
    services.take_snapshot(golden.id)
    assert wearing(tag) == {ann}, "bea left, and stays on as ann"
    row = KeptTag.objects.get(tag=tag)
    assert kept.take_out(row, [ann, bea]) is True
    assert (set(kept.members_of(tag.pk)), set(kept.from_bits(tag.pk))) == (set(), set())
    assert engine_client.call("sets", "holds", {"numbers": [ann, bea]})["sets"] == 1  # she lives: nothing else


def test_whom_a_merge_absorbed_is_not_counted_before_the_next_snapshot() -> None:
    golden = save()
    tag = star(golden)
    gold("ann", True, 1)
    gold("bea", True, 2)
    services.take_snapshot(golden.id)
    record("crm", [Draft("customer.identified", "m", NOW, [("member", "ann"), ("member", "bea")])])
    run_until_idle()
    rule = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": [tag.code]}}
    assert list(queries.evaluate(rule, EVERYTHING)) == [number("ann")]


def test_what_differs_from_the_facts_of_a_tag_is_named() -> None:
    golden = save()
    tag = star(golden)
    gold("ann", True, 1)
    services.take_snapshot(golden.id)
    assert verification.verify(rest_s=0).equal
    KeptChunk.objects.filter(tag=tag.pk).update(bits=bytes(CHUNK_BYTES))
    ann = number("ann")
    report = verification.verify(rest_s=0)
    assert report.kept_differences == [SetDifference("kept_tag_bits", tag.code, 0, 1, [ann])]
    verification.repair(report)
    assert verification.verify(rest_s=0).equal
    assert wearing(tag) == {ann}


def test_nobody_else_puts_it_on_or_takes_it_off() -> None:
    golden = save()
    tag = star(golden)
    with pytest.raises(TagKept):
        change_tag(number("cat"), tag.code, True)
    record("crm", [Draft("tag.changed", "9", NOW, [("member", "cat")], {"tag": tag.code, "on": True})])
    run_until_idle()
    assert (CustomerTag.objects.filter(tag=tag).exists(), wearing(tag)) == (False, set())
    assert list(HeldFact.objects.values_list("reason", flat=True)) == ["kept_tag"]


def test_a_rule_does_not_ask_for_the_tag_that_it_keeps() -> None:
    golden = save()
    tag = star(golden)
    worn = {"type": "tag", "op": "any", "tags": [tag.code]}
    for name, rule in (("Golden", worn), ("Golden", {"any": [{"not": worn}]})):
        with pytest.raises(InvalidRule) as refused:
            save(name, {"version": 1, "rule": rule}, audience=golden)
        assert [problem.code for problem in refused.value.problems] == ["tag_cycle"]
    starred = save("Starred", {"version": 1, "rule": worn})
    group = TagGroup.objects.get(name="Automatic")
    second = automatic.create(HEADQUARTERS, name="Second", group=group, audience=starred)
    through = {"type": "tag", "op": "none", "tags": [second.code]}
    inside = {"type": "audience", "audience": str(starred.public_id)}
    for rule in (through, inside):
        with pytest.raises(InvalidRule) as refused:
            golden.refresh_from_db()
            save("Golden", {"version": 1, "rule": rule}, audience=golden)
        assert [problem.code for problem in refused.value.problems] == ["tag_cycle"]


def test_what_is_used_is_not_taken_away() -> None:
    golden = save()
    tag = star(golden)
    gold("ann", True, 1)
    services.take_snapshot(golden.id)
    with pytest.raises(AudienceInUse) as used:
        services.archive(HEADQUARTERS, golden)
    assert used.value.tags == ["Star"]
    worn = {"version": 1, "rule": {"type": "tag", "op": "any", "tags": [tag.code]}}
    starred = save("Starred", worn)
    with pytest.raises(TagInUse) as named:
        automatic.stop(HEADQUARTERS, tag)
    assert named.value.names == ["Starred"]
    services.archive(HEADQUARTERS, starred)
    automatic.stop(HEADQUARTERS, tag)
    assert (set(kept.folded(tag)), set(kept.members_of(tag.pk))) == (set(), set())
    assert (AutomaticTag.objects.count(), Tag.objects.get(pk=tag.pk).archived_at is not None) == (0, True)
    services.archive(HEADQUARTERS, golden)


def test_what_cannot_keep_a_tag_says_so() -> None:
    golden = save()
    with pytest.raises(GroupExclusive):
        automatic.create(HEADQUARTERS, name="S", audience=golden,
                         group=TagGroup.objects.create(name="One", exclusive=True))  # fmt: skip
    root = OrgNode.objects.get(code="brand")
    store = OrgNode.objects.create(kind="store", code="s1", name="S", path=f"{root.id}.9.", parent=root)
    ours = services.save(HEADQUARTERS, name="Ours", rule=GOLD, org_node=store)
    with pytest.raises(NotWholeBrand):
        star(ours)
    assert (AutomaticTag.objects.count(), KeptTag.objects.count()) == (0, 0)
    tag = star(golden)
    golden.refresh_from_db()
    assert save("Golden", audience=golden, live=False).live, "it goes on being refreshed"
    assert automatic.using(tag.code) == []


def test_bits_and_sets_agree_over_borders() -> None:
    rng = random.Random(7)
    tag = Tag.objects.create(code="kept", name="Kept", group=TagGroup.objects.create(name="K"))
    kept.begin(tag)
    numbers = [0, 7, 8, 65535, 65536, 65537, 131071, 131072, 4_000_000_000, 4_294_967_295]
    for _ in range(6):
        members = BitMap(rng.sample(numbers, rng.randrange(len(numbers) + 1)))
        kept.keep(tag.pk, members, {"audience": 1})
        assert kept.from_bits(tag.pk) == kept.folded(tag) == kept.members_of(tag.pk) == members
        assert set(kept.worn_by(numbers)) == set(members)


def test_who_follows_comes_to_the_same_however_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes, sets written anew and people taken out, followed now and then; what was known is not changed."""
    monkeypatch.setattr(kept, "CHANGES", 3)
    rng = random.Random(11)
    tag = Tag.objects.create(code="kept", name="Kept", group=TagGroup.objects.create(name="K"))
    kept.begin(tag)
    members, known = BitMap(), [kept.follow({})]
    for _ in range(60):
        if rng.random() < 0.1:
            gone = BitMap(rng.sample(range(60_000, 80_000), 5_000))
            assert kept.take_out(KeptTag.objects.get(pk=tag.pk), gone) == bool(members & gone)
            members -= gone
        else:
            size = rng.choice([3, 3, 3, 200, 10_000])
            members = members ^ BitMap(rng.sample(range(60_000, 80_000), size))
            kept.keep(tag.pk, members, {"audience": 1})
        assert kept.members_of(tag.pk) == members == kept.from_bits(tag.pk)
        behind = rng.choice(known)
        before = {one: (stamp, BitMap(some)) for one, (stamp, some) in behind.items()}
        now = kept.follow(behind)
        assert now[tag.pk][1] == members
        assert behind == before
        known.append(now)
        assert KeptChange.objects.count() <= 2 * (kept.CHANGES + 1)
    assert KeptChange.objects.exists()


def headquarters() -> Client:
    user = User.objects.create(username="hq", created_at=NOW, language="en")
    Grant.objects.create(user=user, role=roles.HEADQUARTERS, org_node=OrgNode.objects.get(code="brand"))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def test_the_pages_make_show_and_stop_an_automatic_tag() -> None:
    Brand.objects.create(name="Tea", currency="CNY")
    brand.forget()
    golden, client = save(), headquarters()
    group = TagGroup.objects.create(name="Automatic")
    form = {"name": "Star", "group": group.pk, "audience": golden.pk, "stay_days": "2"}
    assert (
        "Choose a name"
        in client.post("/customers/tags/automatic", {**form, "audience": ""}, follow=True).content.decode()
    )
    assert "is put on within a minute" in client.post("/customers/tags/automatic", form, follow=True).content.decode()
    tag = Tag.objects.get(name="Star")
    gold("ann", True, 1)
    services.take_snapshot(golden.id)
    engine_client.call("sets", "holds", {"numbers": []})
    html = client.get("/customers/tags/").content.decode()
    assert "kept by the audience “Golden”" in html
    assert "for the automatic tag “Star”" in html, "Gold is asked for by what keeps Star"
    assert re.search(r'>Star</a>.*?<td[^>]*class="n">1</td>', html, re.DOTALL)
    assert ("Star</a>" in client.get("/customers/tags/?show=automatic").content.decode(), "Gold</a>" in
            client.get("/customers/tags/?show=automatic").content.decode()) == (True, False)  # fmt: skip
    assert "Gold</a>" not in client.get("/customers/tags/?show=unused").content.decode()
    ann = Customer.objects.get(number=number("ann"))
    assert "“Star” is kept by the audience “Golden”." in client.get(f"/customers/{ann.public_id}/").content.decode()
    assert "Star" in client.get(f"/customers/?tag={tag.code}").content.decode()
    assert client.post(f"/customers/tags/{tag.pk}/archive").status_code == 404
    client.post(f"/customers/tags/groups/{group.pk}/change", {"name": "Robots", "owner": User.objects.get().pk})
    assert "owner: hq" in client.get("/customers/tags/").content.decode()
    starred = save("Starred", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": [tag.code]}})
    assert (
        "Audiences ask for this tag: Starred"
        in client.post(f"/customers/tags/{tag.pk}/stop", follow=True).content.decode()
    )
    services.archive(HEADQUARTERS, starred)
    assert "is off everybody" in client.post(f"/customers/tags/{tag.pk}/stop", follow=True).content.decode()
    assert "Star</a>" not in client.get("/customers/tags/").content.decode()


def test_tags_are_merged_as_a_change_to_many_unless_a_rule_asks_for_one() -> None:
    Brand.objects.create(name="Tea", currency="CNY")
    brand.forget()
    client = headquarters()
    dear = Tag.objects.create(code="dear", name="Dear", group=TagGroup.objects.get())
    gold("ann", True, 1)
    golden = save()
    merge = f"/customers/tags/{Tag.objects.get(code='gold').pk}/merge"
    assert "Audiences ask for this tag: Golden" in client.post(merge, {"into": "dear"}, follow=True).content.decode()
    services.archive(HEADQUARTERS, golden)
    assert "Choose the tag that stays" in client.post(merge, {"into": "gold"}, follow=True).content.decode()
    assert BulkChange.objects.count() == 0
    assert "archive “Gold”" in client.post(merge, {"into": "dear"}, follow=True).content.decode()
    change = BulkChange.objects.get()
    assert (change.kind, change.tag, change.people) == (BulkChange.TAG_ON, dear, 1)
