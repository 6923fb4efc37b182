"""What the checks of a connection say to people: what each looks at, the cause where it is red, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

Text = str | Promise

TITLES: dict[str, Text] = {
    "address": gettext_lazy("Public address"),
    "verification": gettext_lazy("Verification file"),
    "domain": gettext_lazy("Trusted domain"),
    "callback": gettext_lazy("Callback address"),
    "secret": gettext_lazy("Corp ID and secret"),
    "trusted_ip": gettext_lazy("Trusted IP"),
    "permissions": gettext_lazy("Permissions"),
    "range": gettext_lazy("Visible range"),
    "customer_contact": gettext_lazy("Members who serve customers"),
    "events": gettext_lazy("Events"),
}
WHERE: dict[str, Text] = {
    "address": gettext_lazy("HETANG_PUBLIC_URL of this installation, behind a proxy with a certificate."),
    "verification": gettext_lazy("WeCom's console → Apps → the app → Web authorisation and JS-SDK → Trusted domain."),
    "domain": gettext_lazy("WeCom's console → Apps → the app → Web authorisation and JS-SDK → Trusted domain."),
    "callback": gettext_lazy("WeCom's console → Apps → the app → Receive messages → Set API receiver."),
    "secret": gettext_lazy("WeCom's console → My company (corp ID), and Apps → the app (AgentId, Secret)."),
    "trusted_ip": gettext_lazy("WeCom's console → Apps → the app → Company trusted IP."),
    "permissions": gettext_lazy("WeCom's console → Customers and upstream/downstream → Customer contact → API."),
    "range": gettext_lazy("WeCom's console → Apps → the app → Visible range."),
    "customer_contact": gettext_lazy("WeCom's console → Customer contact → Permissions → Scope of use."),
    "events": gettext_lazy("WeCom's console → Apps → the app → Receive messages: tick the events of customer contact."),
}
STATES: dict[str, tuple[Text, str]] = {
    "good": (pgettext_lazy("check", "Works"), "good"),
    "bad": (pgettext_lazy("check", "Wrong"), "bad"),
    "untried": (pgettext_lazy("check", "Not tried yet"), ""),
}

# reason -> cause, remedy
_REASONS: dict[str, tuple[Text, Text]] = {
    "no_address": (
        gettext_lazy("Nobody has said under which address this installation is reached from outside."),
        gettext_lazy("Set HETANG_PUBLIC_URL to https:// and your domain, and start again."),
    ),
    "address_is_number": (
        gettext_lazy("%(address)s is a number or this machine itself: WeCom takes names only."),
        gettext_lazy(
            "Take a domain whose ICP filing is by your company or one related to it, point it here, and set"
            " HETANG_PUBLIC_URL."
        ),
    ),
    "address_not_https": (
        gettext_lazy("%(address)s is not encrypted."),
        gettext_lazy("Put a proxy with a certificate before it and set HETANG_PUBLIC_URL to the https:// address."),
    ),
    "no_file": (
        gettext_lazy("No verification file has been uploaded here."),
        gettext_lazy(
            "In WeCom's console apply to verify the domain, download WW_verify_….txt and upload it on this page; then"
            " let WeCom verify."
        ),
    ),
    "file_unreachable": (
        gettext_lazy("This server does not reach %(url)s (%(problem)s)."),
        gettext_lazy(
            "Open the address on a phone that is not in your network. If it shows a line of text, WeCom sees it too and"
            " this check cannot pass from inside; if not, look at the proxy and the firewall."
        ),
    ),
    "file_differs": (
        gettext_lazy("%(url)s shows something else than the file (status %(status)s)."),
        gettext_lazy("Let the proxy pass /WW_verify_*.txt on to Hetang, at the root and without a redirect."),
    ),
    "no_domain": (
        gettext_lazy("The app has no trusted domain."),
        gettext_lazy("Enter the domain (%(hosts)s) as trusted domain and let WeCom verify it."),
    ),
    "other_domain": (
        gettext_lazy("The app trusts %(domain)s, but this installation is %(hosts)s."),
        gettext_lazy("Change the trusted domain of the app (a few changes a month), or HETANG_PUBLIC_URL."),
    ),
    "no_keys": (
        gettext_lazy("No token and key were drawn yet."),
        gettext_lazy("Save the connection once; they are drawn then."),
    ),
    "no_echo": (
        gettext_lazy("WeCom has not asked the callback's address yet."),
        gettext_lazy("Copy URL, Token and EncodingAESKey from this page into WeCom's console and save there."),
    ),
    "echo_refused": (
        gettext_lazy("WeCom asked the callback's address, but what it sent does not fit (%(problem)s)."),
        gettext_lazy(
            "Copy Token and EncodingAESKey once more, without blanks; see that the corp ID is that of this corp; the"
            " proxy must not change the address's query."
        ),
    ),
    "unknown_corp": (
        gettext_lazy("WeCom does not know this corp ID."),
        gettext_lazy("Copy it from My company; it begins with ww."),
    ),
    "wrong_secret": (
        gettext_lazy("The secret does not belong to this corp ID."),
        gettext_lazy(
            "Copy the app's secret again and save it here. After many wrong ones WeCom shuts this server out for an"
            " hour."
        ),
    ),
    "silent": (
        gettext_lazy("WeCom does not answer this server (%(problem)s)."),
        gettext_lazy("Let this server reach qyapi.weixin.qq.com over https, then check again."),
    ),
    "not_trusted": (
        gettext_lazy("WeCom takes no calls from this server: it sees the address %(address)s."),
        gettext_lazy(
            "Add %(address)s to the app's trusted IPs; that needs the trusted domain or the callback first. It works"
            " after about a minute. The address must be fixed: ask your network for a fixed outgoing one."
        ),
    ),
    "no_permission": (
        gettext_lazy("The app may not call: %(apis)s."),
        gettext_lazy("Tick the app under “Apps that may call the API” of customer contact."),
    ),
    "unknown_agent": (
        gettext_lazy("The secret is that of another app than the AgentId."),
        gettext_lazy("Copy AgentId and secret from the same app and save the connection again."),
    ),
    "app_off": (
        gettext_lazy("The app is switched off in WeCom."),
        gettext_lazy("Switch it on in WeCom's console."),
    ),
    "nobody_visible": (
        gettext_lazy("Nobody is in the app's visible range, so WeCom tells of nobody."),
        gettext_lazy("Let the range hold every department whose members serve customers, best the whole corp."),
    ),
    "nobody_serves": (
        gettext_lazy("No member in the app's visible range may have customers."),
        gettext_lazy("Give members the use of customer contact, and see that they are in the app's visible range."),
    ),
    "no_customer_contact": (
        gettext_lazy("%(member)s may not use customer contact."),
        gettext_lazy("Give the member the use of customer contact; a licence may be missing."),
    ),
    "no_event": (
        gettext_lazy("No event has come in yet."),
        gettext_lazy("Add one of your members as a friend with a WeChat account: it must appear here within seconds."),
    ),
    "limited": (
        gettext_lazy("WeCom's limit for this call is used up."),
        gettext_lazy("Check again in a few minutes."),
    ),
    "code": (
        gettext_lazy("WeCom answered with code %(code)s."),
        gettext_lazy("Look the code up at open.work.weixin.qq.com/devtool/query."),
    ),
    "simulated": (gettext_lazy("A simulated WeCom does not need it."), ""),
    "listens": (gettext_lazy("This app only listens: nothing is asked by it."), ""),
    "first": (gettext_lazy("First comes: %(first)s."), ""),
}


@dataclass(frozen=True)
class Said:
    """A check for people. `remedy` is empty where there is nothing to do."""

    name: str
    title: str
    where: str
    state: str
    state_label: str
    tone: str
    cause: str
    remedy: str


def said(name: str, state: str, reason: str, code: int, detail: Mapping[str, Any]) -> Said:
    """A finding in the current language."""
    values: dict[str, Any] = {"code": code, "address": "?", **detail}
    values |= {key: _enumerated(value) for key, value in values.items() if isinstance(value, list)}
    if reason == "first":
        values["first"] = TITLES[detail["first"]]
    cause, remedy = _REASONS.get(reason, ("", ""))
    label, tone = STATES[state]
    return Said(
        name,
        str(TITLES[name]),
        str(WHERE[name]),
        state,
        str(label),
        tone,
        str(cause) % values if reason else _good(name, detail),
        str(remedy) % values,
    )


def _good(name: str, detail: Mapping[str, Any]) -> str:
    """What a green check may tell besides."""
    if name in {"address", "domain"}:
        return str(detail.get("address") or detail.get("domain") or "")
    if name == "customer_contact" and "members" in detail:
        members = detail["members"]
        return ngettext("%(n)s member may have customers.", "%(n)s members may have customers.", members) % {
            "n": members
        }
    if name == "range" and "departments" in detail:
        return _("Departments: %(departments)s. Single members: %(members)s.") % dict(detail)
    return ""


def _enumerated(values: list[Any]) -> str:
    return " · ".join(str(one) for one in values)
