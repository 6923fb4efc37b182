"""Ponds with rules of their own: kept with their set, named by nobody else, and the pages that compose them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from hetang.audiences import automatic, pond_days, pond_rules, ponds, queries, services
from hetang.audiences.errors import (
    AudienceInUse,
    InvalidPonds,
    NameTaken,
    PondInUse,
    PondsGone,
    StaleVersion,
    TagInUse,
)
from hetang.audiences.models import Audience, AudienceVersion, PondDay, PondSet
from hetang.audiences.ponds import Wanted
from hetang.audiences.rules import InvalidRule
from hetang.customers.models import Tag, TagGroup
from hetang.platform import clock, roles
from hetang.platform.models import AuditEntry, Brand, Grant, OrgNode, User
from tests.audiences.three_people import EVERYTHING, GOLD, HEADQUARTERS, NOW, gold, number, save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.engine,
    pytest.mark.usefixtures("three_people"),
]
EVERYBODY: dict[str, Any] = {"version": 1, "rule": {"all": []}}
NOT_GOLD: dict[str, Any] = {"version": 1, "rule": {"all": [{"not": {"any": [GOLD["rule"]]}}]}}


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    Brand.objects.create(name="Tea", currency="CNY")
    turn(0)
    yield
    clock.freeze(None)


def turn(days: int) -> None:
    clock.freeze(datetime.combine(NOW.date() + timedelta(days=days), time(12), clock.zone()))


@pytest.fixture
def client() -> Client:
    user = User.objects.create(username="hq", created_at=NOW, language="en")
    Grant.objects.create(user=user, role=roles.HEADQUARTERS, org_node=OrgNode.objects.get(code="brand"))
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


def kept(*wanted: Wanted, pond_set: PondSet | None = None, name: str = "By value") -> PondSet:
    root = OrgNode.objects.get(code="brand")
    return ponds.save(HEADQUARTERS, name=name, ponds=wanted, org_node=root, pond_set=pond_set)


def again(pond_set: PondSet) -> list[Wanted]:
    """What the set has, as its form would send it."""
    return [
        Wanted(one.name, "", str(one.public_id), one.audience.rule)
        if one.audience.pond_set_id
        else Wanted(one.name, str(one.audience.public_id), str(one.public_id))
        for one in ponds.ponds_of(pond_set)
    ]


def in_pond(*codes: Any) -> dict[str, Any]:
    return {"version": 1, "rule": {"type": "pond", "ponds": [str(code) for code in codes]}}


def text_of(answer: Any, status: int = 200) -> str:
    html = answer.content.decode()
    assert answer.status_code == status, html
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_rule_of_its_own_is_kept_with_the_set_and_days_say_by_which_version() -> None:
    ann, bea, cat = map(number, ("ann", "bea", "cat"))
    gold("ann", True, 1)
    everybody = save("All", EVERYBODY)
    value = kept(Wanted("Gold", rule=GOLD), Wanted("Others", str(everybody.public_id)))
    own = ponds.ponds_of(value)[0].audience
    assert (own.name, own.version, own.pond_set, own.title) == ("Gold", 1, value, "By value·Gold")
    pond_days.take(value.pk)
    first = PondDay.objects.get()
    assert first.rules[0][1:] == [own.pk, 1]
    value = kept(*again(value), pond_set=value)
    assert AudienceVersion.objects.filter(audience=own).count() == 1, "nothing changed but the set's own version"
    changed = again(value)
    changed[0] = Wanted("Not gold", "", changed[0].pond, NOT_GOLD)
    value = kept(*changed, pond_set=value)
    own.refresh_from_db()
    assert (own.name, own.version, own.rule) == ("Not gold", 2, NOT_GOLD)
    assert list(AudienceVersion.objects.filter(audience=own).order_by("version").values_list("rule", flat=True)) == [
        GOLD,
        NOT_GOLD,
    ]
    turn(1)
    pond_days.take(value.pk)
    days = list(PondDay.objects.order_by("day"))
    where = [[set(part) for part in found.parts] for found in pond_days.read(days)]
    assert where == [[{ann}, {bea, cat}, set()], [{bea, cat}, {ann}, set()]]
    assert [one.rules[0][1:] for one in days] == [[own.pk, 1], [own.pk, 2]]
    told = AuditEntry.objects.filter(action="pond_set.saved").order_by("-id").first()
    assert told is not None and told.changes["ponds"] == [["Not gold", NOT_GOLD], ["Others", "All"]]


def test_nobody_else_can_name_it_and_no_list_has_it() -> None:
    value = kept(Wanted("Gold", rule=GOLD))
    own = ponds.ponds_of(value)[0].audience
    code = str(own.public_id)
    assert list(queries.visible(EVERYTHING)) == []
    for leaf in (
        {"type": "audience"},
        {"type": "audience_at", "date": "2026-01-01"},
        {"type": "audience_moved", "days": 3},
    ):
        with pytest.raises(InvalidRule) as refused:
            save("Thief", {"version": 1, "rule": {**leaf, "audience": code}})
        assert [one.code for one in refused.value.problems] == ["unknown_audience"]
    with pytest.raises(InvalidPonds) as wrong:
        kept(Wanted("Gold", code), name="Another")
    assert wrong.value.problems == [(0, "audience_unknown")]
    with pytest.raises(StaleVersion):
        services.save(HEADQUARTERS, name="x", rule=EVERYBODY, org_node=own.org_node, audience=own)
    gold("ann", True, 1)
    asked = save("Golden", in_pond(ponds.ponds_of(value)[0].public_id))
    assert set(queries.evaluate(asked.rule, EVERYTHING)) == {number("ann")}
    verdict = queries.explain(asked.rule, number("ann"))
    assert verdict.holds and not queries.explain(asked.rule, number("bea")).holds
    with pytest.raises(PondInUse) as used:
        kept(Wanted("Other", rule=EVERYBODY), pond_set=value)
    assert used.value.names == ["Golden"]
    assert save("Gold").name == "Gold", "its name is free for an audience"


def test_rules_that_would_ask_for_themselves_are_refused() -> None:
    value = kept(Wanted("Gold", rule=GOLD), Wanted("Others", rule=EVERYBODY))
    first, second = (str(one.public_id) for one in ponds.ponds_of(value))
    through = save("Through", in_pond(first))
    has = {"version": 1, "rule": {"type": "audience", "audience": str(through.public_id)}}
    for rule in (in_pond(first), in_pond(second), in_pond(value.public_id), has):
        with pytest.raises(InvalidPonds) as wrong:
            kept(Wanted("Gold", "", first, rule), Wanted("Others", "", second, EVERYBODY), pond_set=value)
        assert wrong.value.problems == [(0, "rule_cycle")]
    # A pond may ask for an earlier one, until it stands before that.
    after = Wanted("Others", "", second, in_pond(first))
    value = kept(Wanted("Gold", "", first, GOLD), after, pond_set=value)
    with pytest.raises(InvalidPonds) as wrong:
        kept(after, Wanted("Gold", "", first, GOLD), pond_set=value)
    assert (0, "rule_cycle") in wrong.value.problems
    over = {"version": 1, "rule": {"type": "audience", "audience": str(through.public_id)}}
    value = kept(Wanted("Gold", "", first, GOLD), Wanted("Others", "", second, over), pond_set=value)
    with pytest.raises(InvalidRule) as refused:
        services.save(HEADQUARTERS, name="Through", rule=in_pond(second), org_node=value.org_node, audience=through)
    assert [one.code for one in refused.value.problems] == ["cycle"]


def test_of_two_who_edit_at_once_one_is_told() -> None:
    value = kept(Wanted("Gold", rule=GOLD))
    pond = str(ponds.ponds_of(value)[0].public_id)
    start = Barrier(2)

    def edit(rule: dict[str, Any]) -> str:
        mine = PondSet.objects.select_related("org_node").get(pk=value.pk)
        start.wait(20)
        try:
            kept(Wanted("Gold", "", pond, rule), pond_set=mine)
        except StaleVersion:
            return "stale"
        finally:
            connection.close()
        return json.dumps(rule)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(edit, (NOT_GOLD, EVERYBODY)))
    assert answers.count("stale") == 1
    own = ponds.ponds_of(value)[0].audience
    (won,) = [one for one in answers if one != "stale"]
    assert (own.version, own.rule) == (2, json.loads(won))
    assert Audience.objects.count() == 1


def test_what_its_rule_needs_cannot_go_and_says_for_which_pond() -> None:
    golden = save()
    group = TagGroup.objects.create(name="Kept", position=9)
    tag = automatic.create(HEADQUARTERS, name="Auto", group=group, audience=golden)
    asks = {"version": 1, "rule": {"all": [{"type": "tag", "op": "any", "tags": [tag.code]}]}}
    names = {"version": 1, "rule": {"type": "audience", "audience": str(golden.public_id)}}
    value = kept(Wanted("Auto", rule=asks), Wanted("Golden", rule=names))
    with pytest.raises(TagInUse) as used:
        automatic.stop(HEADQUARTERS, tag)
    assert used.value.names == ["By value·Auto"]
    with pytest.raises(AudienceInUse) as kept_by:
        services.archive(HEADQUARTERS, golden)
    assert (kept_by.value.names, kept_by.value.ponds) == ([], ["By value"])
    ponds.archive(HEADQUARTERS, value)
    automatic.stop(HEADQUARTERS, tag)
    services.archive(HEADQUARTERS, golden)
    value.refresh_from_db()
    with pytest.raises(PondsGone) as gone:
        ponds.restore(HEADQUARTERS, value)
    assert gone.value.names == ["Golden"]
    assert not Audience.objects.filter(pond_set=value, archived_at=None).exists()
    services.restore(HEADQUARTERS, golden)
    ponds.restore(HEADQUARTERS, value)
    assert Audience.objects.filter(pond_set=value, archived_at=None).count() == 2
    # The tag is gone: the day is not taken, the reason is said, and what is repaired goes on.
    assert pond_days.take_due() == 0.0
    value.refresh_from_db()
    assert "unknown_tag" in value.problem
    has = again(value)
    with pytest.raises(InvalidPonds) as wrong:
        kept(*has, pond_set=value)
    assert wrong.value.problems == [(0, "rule_broken")]
    kept(Wanted("Auto", "", has[0].pond, GOLD), has[1], pond_set=value)
    assert pond_days.take_due() == 0.0
    assert PondDay.objects.count() == 1


def test_it_can_be_made_an_audience_and_its_days_go_on() -> None:
    save("Taken")
    value = kept(Wanted("Gold", rule=GOLD))
    pond = ponds.ponds_of(value)[0]
    pond_days.take(value.pk)
    with pytest.raises(NameTaken):
        pond_rules.make_audience(HEADQUARTERS, value, pond, "Taken")
    made = pond_rules.make_audience(HEADQUARTERS, value, pond, "Gold for all")
    assert made.pk == pond.audience_id
    assert [one.name for one in queries.visible(EVERYTHING).order_by("name")] == ["Gold for all", "Taken"]
    with pytest.raises(StaleVersion):
        pond_rules.make_audience(HEADQUARTERS, value, pond, "Again")
    value.refresh_from_db()
    with pytest.raises(StaleVersion):
        pond_rules.make_audience(HEADQUARTERS, value, pond, "Again")
    assert pond_days.take(value.pk).rules == [[pond.pk, made.pk, 1]]
    has = ponds.ponds_of(value)[0].audience
    assert (has.version, has.rule, has.title) == (1, GOLD, "Gold for all")
    # Another rule of its own is another audience; the one that was made stays what it is.
    kept(Wanted("Gold", "", str(pond.public_id), NOT_GOLD), pond_set=value)
    made.refresh_from_db()
    assert (made.rule, made.archived_at, Audience.objects.filter(pond_set=value).count()) == (GOLD, None, 1)


# pages ----------------------------------------------------------------------------------------------------------------


def form(*lines: tuple[str, Any, str], **more: Any) -> dict[str, Any]:
    """The form of a set: (name, audience or rule document or a text in its place, public id of the pond)."""
    return {
        "pond_name": [name for name, _what, _pond in lines],
        "pond_audience": [str(what.public_id) if isinstance(what, Audience) else "" for _name, what, _pond in lines],
        "pond_rule": [
            what if isinstance(what, str) else json.dumps(what) if isinstance(what, dict) else ""
            for _name, what, _pond in lines
        ],
        "pond": [pond for _name, _what, pond in lines],
        **more,
    }


def carried(html: str) -> dict[str, list[str]]:
    """What the hidden fields of a page send."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)"[^>]* value="([^"]*)"', html):
        plain = value.replace("&quot;", '"').replace("&amp;", "&")
        found.setdefault(name, []).append(plain)
    return found


def test_a_rule_is_composed_on_a_page_that_returns_with_it(client: Client) -> None:
    gold("ann", True, 1)
    others = save("All", EVERYBODY)
    typed = form(("Gold", None, ""), ("Others", others, ""), name="Value", description="For tests")
    page = client.post("/ponds/rule", {**typed, "line": "0"})
    assert "Rule of the pond “Gold”" in text_of(page)
    sent = carried(page.content.decode())
    assert (sent["pond_name"], sent["pond_audience"]) == (["Gold", "Others"], ["", str(others.public_id)])
    assert (sent["name"], sent["description"], sent["line"]) == (["Value"], ["For tests"], ["0"])
    condition = json.dumps({"all": [GOLD["rule"]]})
    back = client.post("/ponds/rule/use", {**sent, "tree": condition, "use": "1"})
    told = text_of(back)
    assert "has the tag" in told
    assert "1 person is here" in told and "2 people are here · 3 fit the audience · earlier ponds have: Gold 1" in told
    sent = carried(back.content.decode())
    assert json.loads(sent["pond_rule"][0]) == {"version": 1, "rule": json.loads(condition)}
    whole = {**form(("Gold", sent["pond_rule"][0], ""), ("Others", others, "")), "name": "Value"}
    saved = client.post("/ponds/save", whole)
    value = PondSet.objects.get()
    assert saved.headers["Location"] == f"/ponds/{value.public_id}/"
    told = text_of(client.get(saved.headers["Location"]))
    assert "Gold 1 33.3%" in told and "Make it an audience…" in told and "has the tag" in told
    page = client.get(f"/ponds/{value.public_id}/edit")
    sent = carried(page.content.decode())
    assert json.loads(sent["pond_rule"][0])["rule"] == json.loads(condition)
    assert sent["pond_rule"][1] == ""
    # An audience instead, and a rule that begins as that of an audience.
    plain = client.post("/ponds/draw", {**whole, "do": "plain:0"}).content.decode()
    assert carried(plain)["pond_rule"] == ["", ""]
    begun = client.post("/ponds/rule", {**form(("Golden", save(), "")), "line": "0"})
    assert '"tags": ["gold"]' in carried(begun.content.decode())["tree"][0]
    # Another one, made an audience there.
    gone = client.post(f"/ponds/{value.public_id}/make-audience", {"pond": "x", "name": "Gold"}, follow=True)
    assert "changed or archived meanwhile" in text_of(gone)
    pond = value.ponds.order_by("position").first()
    assert pond is not None
    for name, said in (("", "Give the audience a name"), ("All", "There is already an audience of this name"),
                       ("Value·Gold", "“Value·Gold” is an audience now.")):  # fmt: skip
        answer = client.post(
            f"/ponds/{value.public_id}/make-audience", {"pond": str(pond.public_id), "name": name}, follow=True
        )
        assert said in text_of(answer)
    assert "Value·Gold" in text_of(client.get("/audiences/"))


def test_what_is_unfinished_stays_on_its_page_and_going_back_changes_nothing(client: Client) -> None:
    asked = save()
    names = {"version": 1, "rule": {"type": "audience", "audience": str(asked.public_id)}}
    kept(Wanted("Through a rule", rule=names), name="Asking")
    told = text_of(client.get(f"/audiences/{asked.public_id}/"))
    assert "Asking Pond set that asks for it" in told and "It cannot be archived yet" in told
    typed = form(("Gold", GOLD, ""), name="Value")
    unfinished = {**typed, "line": "0", "tree": json.dumps({"all": [{"type": "tag", "op": "any", "tags": []}]})}
    assert "The rule is not finished" in text_of(client.post("/ponds/rule/use", {**unfinished, "use": "1"}), 422)
    back = carried(client.post("/ponds/rule/use", {**unfinished, "cancel": "1"}).content.decode())
    assert [json.loads(one) for one in back["pond_rule"]] == [GOLD]
    for line in ("1", "-1", "x", "", "999"):
        assert client.post("/ponds/rule", {**typed, "line": line}).status_code == 400


@pytest.mark.parametrize(
    "rule",
    [
        "{", "[]", "7", "null!", '{"version": 1}', '{"version": 2, "rule": {"all": []}}',
        '{"version": 1, "rule": 7}', '{"version": 1, "rule": {"all": {"all": 3}}}',
        '{"version": 1, "rule": {"not": 3}}',
        '{"version": 1, "rule": {"type": "tag", "op": "any", "tags": 5}}',
        '{"version": 1, "rule": {"type": "metric", "metric": "orders", "op": ">=", "value": NaN}}',
        '{"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["\\ud800"]}}',
        '{"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["\\u0000"]}}',
        '{"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["' + "x" * 10_000 + '"]}}',
        '{"version": 1, "rule": ' + '{"not": ' * 3000 + "{}" + "}" * 3001,
        json.dumps({"version": 1, "rule": {"all": [GOLD["rule"]] * 501}}),
        json.dumps({"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["<script>alert(1)</script>"]}}),
    ],
)  # fmt: skip
def test_hostile_rules_are_said_to_be_wrong_and_saved_nowhere(client: Client, rule: str) -> None:
    typed = form(("Gold", GOLD, ""), ("Odd", rule, ""), name="Value", line="1")
    for address in ("/ponds/draw", "/ponds/rule/use"):
        answer = client.post(address, {**typed, "cancel": "1"})
        assert "The rule of this pond cannot be evaluated." in text_of(answer)
        assert "1 person" in text_of(answer) or "0 people are here" in text_of(answer), "the other one is counted"
        assert "<script>alert" not in answer.content.decode()
    assert client.post("/ponds/rule", typed).status_code == 200
    assert "look at the marked ponds" in text_of(client.post("/ponds/save", typed), 422)
    assert not PondSet.objects.exists() and not Audience.objects.exists()


def test_a_tag_that_goes_says_which_pond_asks_for_it(client: Client) -> None:
    kept(Wanted("Gold", rule=GOLD))
    told = text_of(client.get("/customers/tags/"))
    assert "By value·Gold" in told
    value = PondSet.objects.get()
    Tag.objects.filter(code="gold").update(archived_at=NOW)
    page = client.get(f"/ponds/{value.public_id}/")
    assert "gold" in text_of(page) and "does not exist" in text_of(page)
    told = text_of(client.get(f"/ponds/{value.public_id}/edit"))
    assert "The rule of this pond cannot be evaluated." in told
