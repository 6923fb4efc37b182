"""What each address of the console is about: which object its parts name, and what a form sends to it.

Addresses whose permission belongs to the whole brand, and public ones, need not be listed. Everything else must be: an
address that a room adds fails `test_every_url` until it stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from hetang.customers.models import BulkChange
from hetang.platform import clock

Values = dict[str, Any]
Of = Callable[[SimpleNamespace], Values]


def _nothing(_place: SimpleNamespace) -> Values:
    return {}


@dataclass(frozen=True)
class Listed:
    """`path`: the parts of the address, `query` and `body`: what GET and POST carry, made from the objects of a place.

    `mine`: the name of the object that belongs to whoever asks; the walk hands it over before. `silent`: a POST that
    writes nothing here even where it may (it needs another process, or only draws). `reach`: places besides her own
    that may be changed, with the reason beside it. `of`: "place" for what lies somewhere, "self" for one's own account
    and taste, "brand" for what belongs to no place and so is changed only by who acts for the whole brand.
    """

    path: Of = _nothing
    query: Of = _nothing
    body: Of = _nothing
    mine: str = ""
    silent: bool = False
    reach: frozenset[str] = frozenset()
    of: str = "place"
    elsewhere: str = ""  # the test that proves that it works where it may; here it is only refused

    @property
    def of_a_place(self) -> bool:
        """Whether it is worth asking for the things of every place."""
        return self.of == "place" and not (self.path is self.query is self.body is _nothing)

    def forbids(self, kind: str, at: str) -> bool:
        """Whether somebody with a grant at a region or the brand must not change things of this place."""
        if self.of == "brand":
            return at != "brand"
        return self.of == "place" and kind != "own" and kind not in self.reach


def by(name: str) -> Of:
    """The public id of an object."""
    return lambda place: {"public_id": str(getattr(place, name).public_id)}


def sending(**values: Any) -> Of:
    """The same form for every place."""
    return lambda _place: values


_of_customer, _of_bulk, _of_audience = by("customer"), by("bulk"), by("audience")
_of_pond_set = by("pond_set")


def _of_member(place: SimpleNamespace) -> Values:
    return {**_of_customer(place), "member": place.household.pk}


_of_campaign, _of_draft, _of_sent = by("campaign"), by("broadcast"), by("sent")
_of_approval, _of_job, _of_export = by("approval"), by("job"), by("export")
# Another company's users and places are the platform's business: access is given by whoever manages users there.
_PLATFORM = frozenset({"foreign"})


def _user(place: SimpleNamespace) -> Values:
    return {"user_id": place.owner.pk}


def _day(days: int) -> str:
    return (clock.today() + timedelta(days=days)).isoformat()


def _campaign_form(place: SimpleNamespace) -> Values:
    return {"name": "New", "starts_on": _day(0), "ends_on": _day(5), "org_node": place.node.pk}


def _message_form(place: SimpleNamespace) -> Values:
    return {
        **{"name": "New", "campaign": place.campaign.public_id, "audience": place.audience.public_id, "do": "save"},
        **{"text_1": "Hello", "weight_1": 1, "target_url": "https://example.cn/", "control": 10, "when": "now"},
        **{"confirm_days": 3, "window_days": 7},
    }


def _audience_form(place: SimpleNamespace) -> Values:
    return {"name": "Renamed", "tree": '{"all": []}', "audience": place.audience.public_id, "version": 1}


def _ponds_form(place: SimpleNamespace) -> Values:
    pond = {"pond_name": "Renamed", "pond_audience": place.audience.public_id, "pond": place.pond.public_id}
    return {"name": "Renamed ponds", "set": place.pond_set.public_id, "version": 1, **pond}


def _rule_form(place: SimpleNamespace) -> Values:
    return {**_ponds_form(place), "line": 0, "tree": '{"all": []}'}


def _own_rule_form(place: SimpleNamespace) -> Values:
    return {"pond": place.ruled_pond.public_id, "name": f"{place.thing} rule"}


LISTED: dict[str, Listed] = {
    # pages of the frame, and what is one's own
    **dict.fromkeys(("console:home", "console:help", "console:styleguide"), Listed(silent=True)),
    "console:store-board": Listed(silent=True),
    "console:look-at": Listed(path=sending(code="bought"), silent=True),
    "console:search": Listed(query=lambda p: {"q": p.phone}),
    **dict.fromkeys(("me:account", "me:password", "me:two-factor", "me:codes"), Listed(silent=True, of="self")),
    **dict.fromkeys(("me:two-factor-off", "me:devices-forget"), Listed(silent=True, of="self")),
    "me:session-end": Listed(path=lambda p: {"session_id": p.session.pk}, silent=True),
    "lists:columns": Listed(path=sending(code="customers"), of="self"),
    "lists:save-view": Listed(path=sending(code="customers"), body=sending(name="Mine"), of="self"),
    "lists:remove-view": Listed(path=by("view"), mine="view"),
    # customers
    "customers:list": Listed(query=lambda p: {"store": p.store.code}),
    "customers:tags": Listed(),
    **dict.fromkeys(("customers:portrait", "customers:timeline", "customers:audiences"), Listed(_of_customer)),
    "customers:reveal": Listed(_of_customer, body=sending(which="name", reason="call")),
    "customers:household": Listed(_of_customer, body=sending(kind="child", born_on="2024-02-29")),
    "customers:household-member": Listed(_of_member, body=sending(kind="child", sex="female")),
    "customers:household-remove": Listed(_of_member),
    "customers:change-tag": Listed(_of_customer, body=sending(tag="coffee", on="")),
    "customers:change-consent": Listed(
        _of_customer, body=sending(purpose="marketing", channel="wecom", given="1", basis="consent")
    ),
    "customers:state-basis": Listed(
        _of_customer, body=sending(purpose="marketing", channel="sms", basis="contract", reason="signed")
    ),
    "customers:personalisation": Listed(_of_customer, body=sending(allowed="0")),
    "customers:do-not-disturb": Listed(_of_customer, body=sending(on="1")),
    "customers:same-as": Listed(
        _of_customer,
        query=lambda p: {"q": p.phone},
        body=lambda p: {"other": p.people[2].public_id, "reason": "known"},
    ),
    "customers:unmerge": Listed(lambda p: _of_customer(p) | {"merge_id": p.merge.pk}),
    "customers:separate": Listed(lambda p: _of_customer(p) | {"merge_id": p.merge.pk}, body=sending(reason="no")),
    "customers:take-back": Listed(lambda p: {"decision_id": p.decision.pk}),
    "customers:review": Listed(),
    "customers:review-pair": Listed(lambda p: {"proposal_id": p.proposal.pk}),
    "customers:review-decide": Listed(lambda p: {"proposal_id": p.proposal.pk}, body=sending(decision="apart")),
    "customers:review-undo": Listed(lambda p: {"proposal_id": p.decided.pk}),
    "customers:bulk-list": Listed(),
    "customers:bulk-new": Listed(
        query=lambda p: {"store": p.store.code}, body=sending(kind=BulkChange.TAG_OFF, tag="coffee")
    ),
    "customers:bulk": Listed(_of_bulk, mine="bulk"),
    "customers:bulk-start": Listed(_of_bulk, mine="bulk"),
    "customers:bulk-continue": Listed(by("bulk_running"), mine="bulk_running"),
    "customers:bulk-undo": Listed(by("bulk_done"), mine="bulk_done"),
    "customers:bulk-ask": Listed(_of_bulk, mine="bulk", silent=True),  # one customer needs no approval
    "customers:bulk-discard": Listed(_of_bulk, mine="bulk"),
    "customers:avatar": Listed(by("customer")),
    # group chats
    "groups:list": Listed(),
    "groups:group": Listed(by("group")),
    "groups:place": Listed(by("group"), body=lambda p: {"kind": "store", "store": p.store.pk}),
    # hand-overs: preparing one asks WeCom, which is not there
    **dict.fromkeys(("handovers:list", "handovers:lost"), Listed()),
    "handovers:new": Listed(
        query=lambda p: {"staff": str(p.staff.public_id)},
        body=lambda p: {"customers": "on", "rule": "shared", "store": str(p.store.public_id)},
        silent=True,
    ),
    "handovers:show": Listed(by("handover")),
    "handovers:start": Listed(by("handover")),
    "handovers:prepare-again": Listed(by("unprepared")),
    "handovers:discard": Listed(by("handover")),
    "handovers:give-up": Listed(by("handing_over")),
    "groups:overlaps": Listed(),
    "groups:welcome-answer": Listed(by("group"), body=sending(set="yes")),
    # audiences
    **dict.fromkeys(("audiences:list", "audiences:new"), Listed()),
    "audiences:overlap": Listed(query=lambda p: {"a": str(p.audience.public_id)}),
    "audiences:values": Listed(path=sending(source="stores"), query=sending(q="shop")),
    "audiences:build": Listed(body=sending(tree='{"all": []}'), silent=True),
    "audiences:save": Listed(body=_audience_form),
    **dict.fromkeys(
        ("audiences:detail", "audiences:edit", "audiences:history", "audiences:portrait", "audiences:comparison"),
        Listed(_of_audience),
    ),
    "audiences:past": Listed(_of_audience, query=lambda p: {"q": p.phone}),
    "audiences:why": Listed(_of_audience, query=lambda p: {"q": p.phone}),
    "audiences:refresh": Listed(_of_audience),
    "audiences:archive": Listed(_of_audience, body=sending(unsent="yes")),
    "audiences:restore": Listed(by("archived")),
    # ponds: who is where is asked of the engine, which is not there
    **dict.fromkeys(("ponds:list", "ponds:new"), Listed()),
    "ponds:draw": Listed(body=_ponds_form, silent=True),
    "ponds:save": Listed(body=_ponds_form),
    **dict.fromkeys(("ponds:rule", "ponds:use"), Listed(body=_rule_form, silent=True)),
    "ponds:make-audience": Listed(_of_pond_set, body=_own_rule_form),
    "ponds:start": Listed(body=sending(start="rfm"), of="self"),  # what it makes lies at her own place
    **dict.fromkeys(("ponds:detail", "ponds:history", "ponds:edit"), Listed(_of_pond_set)),
    "ponds:people": Listed(_of_pond_set, query=sending(row="rest", column="rest")),
    "ponds:archive": Listed(_of_pond_set),
    "ponds:restore": Listed(by("archived_ponds")),
    # campaigns and broadcasts
    **dict.fromkeys(("campaigns:list", "campaigns:broadcasts", "campaigns:calendar"), Listed()),
    **dict.fromkeys(("campaigns:quota", "campaigns:quota_left"), Listed()),
    "campaigns:new": Listed(body=_campaign_form),
    "campaigns:detail": Listed(_of_campaign),
    "campaigns:edit": Listed(_of_campaign, body=_campaign_form),
    "campaigns:state": Listed(_of_campaign, body=sending(state="closed")),
    "campaigns:new_broadcast": Listed(
        query=lambda p: {"campaign": p.campaign.public_id, "audience": p.audience.public_id}, body=_message_form
    ),
    "campaigns:preview": Listed(body=_message_form, silent=True),
    "campaigns:take_pictures": Listed(sending(number=1), body=_message_form, silent=True),
    "campaigns:picture": Listed(by("picture")),
    **dict.fromkeys(("campaigns:broadcast", "campaigns:split_body"), Listed(_of_draft)),
    "campaigns:edit_broadcast": Listed(_of_draft, body=_message_form),
    "campaigns:discard_broadcast": Listed(_of_draft),
    "campaigns:split": Listed(_of_draft, silent=True),
    "campaigns:people": Listed(lambda p: _of_sent(p) | {"reason": "send"}),
    "campaigns:ask": Listed(_of_draft, silent=True),
    "campaigns:send": Listed(_of_draft, silent=True),
    **dict.fromkeys(("campaigns:progress", "campaigns:progress_body"), Listed(_of_sent)),
    **dict.fromkeys(("campaigns:pause", "campaigns:cancel"), Listed(_of_sent)),
    **dict.fromkeys(("campaigns:resume", "campaigns:remind"), Listed(_of_sent, silent=True)),
    # approvals, jobs, exports
    "approvals:list": Listed(),
    "approvals:detail": Listed(_of_approval),
    "approvals:decide": Listed(_of_approval, body=sending(decision="approve", content="0" * 64)),
    "approvals:withdraw": Listed(_of_approval, mine="approval"),
    **dict.fromkeys(("operations:job", "operations:job-progress"), Listed(_of_job, mine="job")),
    "operations:job-cancel": Listed(_of_job, mine="job", reach=frozenset({"foreign"})),  # who runs the system
    "exports:list": Listed(),
    "exports:new": Listed(
        path=sending(code="customers"),
        query=lambda p: {"store": p.store.code},
        body=sending(purpose="service", note=""),
    ),
    "exports:detail": Listed(_of_export, mine="export", reach=frozenset({"foreign"})),  # looking ends what is over
    **dict.fromkeys(("exports:make", "exports:ask"), Listed(_of_export, mine="export", silent=True)),
    "exports:withdraw": Listed(by("export_waiting"), mine="export_waiting"),
    "exports:delete": Listed(_of_export, mine="export"),
    "exports:download": Listed(sending(token="none"), elsewhere="tests/privacy/test_exports.py"),
    # results
    **dict.fromkeys(("insights:board", "insights:reports", "insights:definitions"), Listed()),
    "insights:report": Listed(by("programme")),
    # what customers ask for: hers at a place; the proofs name nobody
    "privacy:person": Listed(_of_customer),
    **dict.fromkeys(("privacy:person-link", "privacy:person-end-link"), Listed(_of_customer)),
    "privacy:person-note": Listed(_of_customer, body=sending(kind="other", text="Call me")),
    "privacy:person-erase": Listed(_of_customer, body=sending(reason="asked")),
    "privacy:requests": Listed(),
    "privacy:request": Listed(by("request")),
    "privacy:request-answer": Listed(by("request"), body=sending(outcome="refused", answer="No")),
    "privacy:request-erase": Listed(by("request"), body=sending(answer="Done")),
    "privacy:erasures": Listed(),
    "privacy:erasure": Listed(by("erasure"), of="brand"),
    **dict.fromkeys(
        ("privacy:certificate", "privacy:erasure-check"),
        Listed(by("erasure"), of="brand", elsewhere="tests/privacy/test_own_page.py"),
    ),
    # the registers of privacy say nothing of a place; changing them needs the whole brand
    **dict.fromkeys(("privacy:keeping", "privacy:keeping-due", "privacy:keys"), Listed()),
    "privacy:keeping-kind": Listed(sending(code="jobs"), body=sending(days=400), of="brand"),
    "privacy:rules": Listed(silent=True, of="brand"),
    "privacy:consents": Listed(
        body=sending(version="1", purpose="marketing", zh_hans="同意", en="I agree"), of="brand"
    ),
    # users, roles, places
    **dict.fromkeys(("settings:users", "settings:roles", "settings:organisation"), Listed()),
    **dict.fromkeys(("settings:login-rules", "settings:approval-rules"), Listed(silent=True, of="brand")),
    "settings:user": Listed(_user),
    "settings:user-new": Listed(
        body=lambda p: {"username": "new", "password": "a long password", "role": "adviser", "org_node": p.node.pk},
        reach=_PLATFORM,
    ),
    "settings:user-active": Listed(_user, body=sending(active="0"), reach=_PLATFORM),
    "settings:user-staff": Listed(_user, body=lambda p: {"userid": p.staff.userid}, reach=_PLATFORM),
    "settings:user-password": Listed(_user, reach=_PLATFORM),
    "settings:user-two-factor": Listed(_user, reach=_PLATFORM, silent=True),
    "settings:user-sessions": Listed(_user, reach=_PLATFORM),
    "settings:user-unlock": Listed(_user, reach=_PLATFORM),
    "settings:grant-add": Listed(_user, body=lambda p: {"role": "adviser", "org_node": p.node.pk}, reach=_PLATFORM),
    "settings:grant-remove": Listed(lambda p: _user(p) | {"grant_id": p.grant.pk}, reach=_PLATFORM),
    "settings:role": Listed(sending(code="region"), of="brand"),
    "settings:role-new": Listed(body=sending(name="New", permissions="customers:view"), of="brand"),
    "settings:role-edit": Listed(
        sending(code="own"), body=sending(name="Named", permissions="customers:view", version=1), of="brand"
    ),
    "settings:role-delete": Listed(sending(code="own"), of="brand"),
    "settings:view-as-user": Listed(_user, body=sending(reason="to help", minutes=10)),
    "settings:view-as-role": Listed(
        sending(code="adviser"), body=lambda p: {"node": p.node.pk, "reason": "to help", "minutes": 10}
    ),
    "settings:view-as-end": Listed(of="self", silent=True),
    "settings:place": Listed(lambda p: {"node_id": p.node.pk}, body=sending(name="Renamed"), reach=_PLATFORM),
}
