"""The checks of a connection. Each is green, red or not tried yet, with a reason that `words` says for people.

They only ask: nothing is changed in WeCom. What several checks need is asked once a run. A check whose ground is
missing (no token without a secret, no answers from an address that is not trusted) is not tried, and names what comes
first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import httpx

from hetang.connectors.wecom.client import Client, client_of
from hetang.connectors.wecom.errors import NO_RELATION, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App, CallbackMessage, CheckResult, VerificationFile
from hetang.connectors.wecom.protocol.contacts import CUSTOMER_IDS, MemberQuery
from hetang.connectors.wecom.protocol.directory import AGENT, FOLLOW_USERS, Agent, AgentQuery
from hetang.connectors.wecom.protocol.groups import GROUPS, GroupsRequest
from hetang.connectors.wecom.protocol.tags import CORP_TAGS, TagQuery
from hetang.platform import clock, environment, registry_values

GOOD, BAD, UNTRIED = "good", "bad", "untried"
NOT_TRUSTED = 60020
_REFUSED = frozenset({48001, 48002, 48004, 48006})
_ASKED_MEMBERS = 3
_TIMEOUT_S = 8.0


@dataclass(frozen=True)
class Finding:
    """What a check found: state, reason (see `words`), WeCom's code where it gave one, and what the words name."""

    name: str
    state: str
    reason: str = ""
    code: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """An answer, or why there is none: `code`, or `silence`."""

    value: Any = None
    code: int = 0
    silence: str = ""
    address: str = ""

    @property
    def arrived(self) -> bool:
        return not self.code and not self.silence


class Probe:
    """One run: what is asked of WeCom, each question once."""

    def __init__(self, app: App) -> None:
        self.app = app

    @cached_property
    def _client(self) -> Client:
        return client_of(self.app)

    @cached_property
    def token(self) -> _Answer:
        """Whether corp and secret fit together. The platform answers this from every address."""
        return self._ask(self._client.prove)

    @cached_property
    def agent(self) -> _Answer:
        """The app as WeCom knows it: the first call for which the address must be trusted."""
        if not self.token.arrived:
            return self.token  # a wrong secret is not tried twice: WeCom counts
        return self._ask(lambda: self._client.call(AGENT, AgentQuery(agentid=self.app.agentid)))

    @cached_property
    def serving(self) -> _Answer:
        """Members who may have customers."""
        if self.agent.code == NOT_TRUSTED or self.agent.silence or not self.token.arrived:
            return self.agent
        return self._ask(lambda: self._client.call(FOLLOW_USERS))

    @cached_property
    def permissions(self) -> dict[str, _Answer]:
        """The families that everything rests on, by path. Only asked once calls get through."""
        return {
            FOLLOW_USERS.path: self.serving,
            CORP_TAGS.path: self._ask(lambda: self._client.call(CORP_TAGS, TagQuery())),
            GROUPS.path: self._ask(lambda: self._client.call(GROUPS, GroupsRequest(limit=1))),
        }

    def customers_of(self, userid: str) -> _Answer:
        """Ids of a member's customers."""
        return self._ask(lambda: self._client.call(CUSTOMER_IDS, MemberQuery(userid=userid)))

    def _ask(self, question: Callable[[], Any]) -> _Answer:
        try:
            return _Answer(question())
        except RateLimited as problem:
            return _Answer(code=problem.code, silence="limited")
        except WeComError as problem:
            return _Answer(code=problem.code, address=problem.address)
        except (NotSent, Unanswered) as problem:
            return _Answer(silence=type(problem).__name__)


def _address(probe: Probe) -> Finding:
    """Where WeCom and customers reach us: a name with https. WeCom takes no bare numbers and no plain http."""
    told = environment.public_url()
    place = urlsplit(told)
    if probe.app.corp.simulated:
        return Finding("address", UNTRIED, "simulated")
    if not told:
        return Finding("address", BAD, "no_address")
    if _is_number(place.hostname or ""):
        return Finding("address", BAD, "address_is_number", detail={"address": told})
    if place.scheme != "https":
        return Finding("address", BAD, "address_not_https", detail={"address": told})
    return Finding("address", GOOD, detail={"address": told})


def _verification(probe: Probe) -> Finding:
    """The file by which WeCom sees that the domain is ours, asked for at the domain's root as WeCom does."""
    name = "verification"
    if probe.app.corp.simulated:
        return Finding(name, UNTRIED, "simulated")
    kept = VerificationFile.objects.order_by("-uploaded_at").first()
    if kept is None:
        return Finding(name, UNTRIED, "no_file")
    if not environment.public_url():
        return Finding(name, UNTRIED, "first", detail={"first": "address"})
    url = f"{environment.public_url()}/{kept.name}"
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
    except httpx.HTTPError as problem:
        return Finding(name, BAD, "file_unreachable", detail={"url": url, "problem": type(problem).__name__})
    if answer.status_code != 200 or answer.text.strip() != kept.content.strip():
        return Finding(name, BAD, "file_differs", detail={"url": url, "status": answer.status_code})
    return Finding(name, GOOD, detail={"url": url})


def _domain(probe: Probe) -> Finding:
    """The trusted domain that is set for the app: the host of our pages."""
    name = "domain"
    if not probe.agent.arrived:
        return _first(name, probe)
    if probe.app.corp.simulated and not probe.agent.value.redirect_domain:
        return Finding(name, UNTRIED, "simulated")
    domain, ours = probe.agent.value.redirect_domain.lower(), _hosts()
    if not ours:
        return Finding(name, UNTRIED, "first", detail={"first": "address"})
    if not domain:
        return Finding(name, BAD, "no_domain", detail={"hosts": ours})
    if domain not in ours:
        return Finding(name, BAD, "other_domain", detail={"domain": domain, "hosts": ours})
    return Finding(name, GOOD, detail={"domain": domain})


def _callback(probe: Probe) -> Finding:
    """The callback's address: WeCom asks it when it is saved, and only a right answer is taken."""
    app = App.objects.get(pk=probe.app.pk)
    if app.callback_token is None or app.callback_aes_key is None:
        return Finding("callback", BAD, "no_keys")
    if app.echoed_at is not None:
        return Finding("callback", GOOD, detail={"at": app.echoed_at.isoformat()})
    if app.echo_problem:
        return Finding("callback", BAD, "echo_refused", detail={"problem": app.echo_problem})
    return Finding("callback", UNTRIED, "no_echo")


def _secret(probe: Probe) -> Finding:
    """Corp ID and secret."""
    answer = probe.token
    if answer.arrived:
        return Finding("secret", GOOD)
    if answer.silence and answer.silence != "limited":
        return Finding("secret", BAD, "silent", detail={"problem": answer.silence})
    reason = {40013: "unknown_corp", 40001: "wrong_secret", 40091: "wrong_secret", NOT_TRUSTED: "not_trusted"}
    return _by_code("secret", answer, reason.get(answer.code, ""))


def _trusted_ip(probe: Probe) -> Finding:
    """The address from which we call. Any answer but 60020 means that it is trusted."""
    if not probe.token.arrived and probe.token.code != NOT_TRUSTED:
        return Finding("trusted_ip", UNTRIED, "first", detail={"first": "secret"})
    answer = probe.token if probe.token.code == NOT_TRUSTED else probe.agent
    if answer.code == NOT_TRUSTED:
        return Finding("trusted_ip", BAD, "not_trusted", NOT_TRUSTED, {"address": answer.address})
    if answer.silence:
        return Finding("trusted_ip", UNTRIED, "silent", detail={"problem": answer.silence})
    return Finding("trusted_ip", GOOD)


def _permissions(probe: Probe) -> Finding:
    """What the app may ask: customers, tags, groups."""
    if not _passes(probe):
        return _first("permissions", probe)
    refused = {path: one.code for path, one in probe.permissions.items() if one.code in _REFUSED}
    if refused:
        return Finding("permissions", BAD, "no_permission", max(refused.values()), {"apis": sorted(refused)})
    failed = [one for one in probe.permissions.values() if not one.arrived]
    return _by_code("permissions", failed[0], "") if failed else Finding("permissions", GOOD)


def _range(probe: Probe) -> Finding:
    """The app's visible range, and that it is switched on."""
    if not probe.agent.arrived:
        if _passes(probe) and probe.agent.code:
            return _by_code("range", probe.agent, "unknown_agent" if probe.agent.code == 40056 else "")
        return _first("range", probe)
    agent: Agent = probe.agent.value
    departments, members = len(agent.allow_partys.partyid), len(agent.allow_userinfos.user)
    tags = len(agent.allow_tags.tagid)
    if agent.close:
        return Finding("range", BAD, "app_off")
    if not departments and not members and not tags:
        return Finding("range", BAD, "nobody_visible")
    return Finding("range", GOOD, detail={"departments": departments, "members": members})


def _customer_contact(probe: Probe) -> Finding:
    """Members who have the function, and that it works for some of them."""
    name = "customer_contact"
    if not probe.serving.arrived:
        return _first(name, probe)
    members: list[str] = probe.serving.value.follow_user
    if not members:
        return Finding(name, BAD, "nobody_serves")
    answers = [(member, probe.customers_of(member)) for member in members[:_ASKED_MEMBERS]]
    bad = [(member, one.code) for member, one in answers if one.code not in {0, NO_RELATION}]
    if len(bad) == len(answers):
        reason = "no_customer_contact" if bad[0][1] == 84074 else "code"
        return Finding(name, BAD, reason, bad[0][1], {"member": bad[0][0], "members": len(members)})
    return Finding(name, GOOD, detail={"members": len(members)})


def _events(probe: Probe) -> Finding:
    """Whether an event has ever come in."""
    newest = CallbackMessage.objects.filter(app=probe.app).order_by("-id").values_list("received_at", flat=True).first()
    if newest is None:
        return Finding("events", UNTRIED, "no_event")
    return Finding("events", GOOD, detail={"at": newest.isoformat()})


CHECKS: dict[str, Callable[[Probe], Finding]] = {
    "address": _address,
    "verification": _verification,
    "domain": _domain,
    "callback": _callback,
    "secret": _secret,
    "trusted_ip": _trusted_ip,
    "permissions": _permissions,
    "range": _range,
    "customer_contact": _customer_contact,
    "events": _events,
}


ASKING = frozenset({"domain", "secret", "trusted_ip", "permissions", "range", "customer_contact"})  # by calls


def run(app: App, names: Collection[str] = ()) -> list[Finding]:
    """Carry checks out (all, or those named), in WeCom's order, and keep what they found. Some calls, each with its
    retries: up to a minute where WeCom is silent. Call it with no transaction open."""
    probe = Probe(app)
    return [carry_out(probe, name) for name in CHECKS if not names or name in names]


def carry_out(probe: Probe, name: str) -> Finding:
    """Carry one check out and keep what it found."""
    found = Finding(name, UNTRIED, "listens") if probe.app.listen_only and name in ASKING else CHECKS[name](probe)
    said = {"state": found.state, "reason": found.reason, "code": found.code, "detail": found.detail, "at": clock.now()}
    CheckResult.objects.update_or_create(app=probe.app, name=name, defaults=said)
    return found


def last(app: App) -> dict[str, CheckResult]:
    """What each check found when it was last carried out."""
    return {one.name: one for one in CheckResult.objects.filter(app=app)}


def forget(app: App) -> None:
    """The connection was changed: nothing is known of it any more."""
    CheckResult.objects.filter(app=app).delete()


def _passes(probe: Probe) -> bool:
    """Whether calls get as far as WeCom's judgment on permissions."""
    return probe.token.arrived and probe.agent.code != NOT_TRUSTED and not probe.agent.silence


def _first(name: str, probe: Probe) -> Finding:
    """Not tried, since something earlier is red; or what WeCom answered, where nothing is."""
    if not probe.token.arrived:
        return Finding(name, UNTRIED, "first", detail={"first": "secret"})
    if not _passes(probe):
        return Finding(name, UNTRIED, "first", detail={"first": "trusted_ip"})
    if probe.agent.code:
        return Finding(name, UNTRIED, "first", detail={"first": "range"})
    return Finding(name, UNTRIED, "first", detail={"first": "permissions"})


def _by_code(name: str, answer: _Answer, reason: str) -> Finding:
    if answer.silence == "limited":
        return Finding(name, UNTRIED, "limited", answer.code)
    if answer.silence:
        return Finding(name, UNTRIED, "silent", detail={"problem": answer.silence})
    return Finding(name, BAD, reason or "code", answer.code, {"address": answer.address} if answer.address else {})


def _hosts() -> list[str]:
    told = (environment.public_url(), str(registry_values.from_environment("web.console_url")))
    return sorted({(urlsplit(one).hostname or "").lower() for one in told if one} - {""})


def _is_number(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
