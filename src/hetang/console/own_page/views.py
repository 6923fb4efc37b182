"""What a customer sees and does on her own page. Nothing here knows a log-in: the link becomes a cookie.

The address of the link leads on at once, so that it stands in no referrer and on no screenshot. Every answer is kept
nowhere and may be framed by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hetang.commerce import queries as commerce
from hetang.console import sign_in
from hetang.console.copies.fields import PARTS
from hetang.console.copies.schema import schema
from hetang.console.copies.writing import Writer
from hetang.console.customers import words
from hetang.console.privacy.words import KINDS, STATES
from hetang.customers import minors, queries, services
from hetang.customers.errors import NoIdentity
from hetang.customers.models import Customer, Relation
from hetang.customers.queries import IdentityView
from hetang.customers.services import PERSONALISATION
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import audit, clock
from hetang.platform.masking import HIDDEN
from hetang.privacy import consents, copies, limits, own_page, page_limits
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.messages import refusal_text
from hetang.privacy.models import PrivacyRequest
from hetang.privacy.own_page import SOURCE, Visit

COOKIE, KNOWN = "hetang_own_page", "hetang_own_page_known"
PATH = "/h5/privacy/"
LOOKS, ARRIVALS, DEEDS, COPIES = 200, 60, 40, 5  # of one link or address in an hour
CHANNELS = ("wecom", "sms", "email")
CHOICES = ("quiet", PERSONALISATION, minors.GUARDIAN)

Text = str | Promise
QUESTIONS: dict[str, Text] = {
    "phone": gettext_lazy("Your phone number"),
    "email": gettext_lazy("Your e-mail address"),
    "member": gettext_lazy("Your member number"),
    "card": gettext_lazy("The number of your card"),
}
# What is said above the page after something was done.
DONE: dict[str, Text] = {
    "known": gettext_lazy("Thank you. For half an hour you see everything here."),
    "noted": gettext_lazy("Noted. It holds from now on."),
    "asked": gettext_lazy("Your request has arrived. You find the answer on this page."),
}

Page = Callable[[HttpRequest, Visit], HttpResponse]


def _visited(view: Page) -> Callable[[HttpRequest], HttpResponse]:
    """A page for who came by a living link: counted, kept nowhere. Others are told how to get one."""

    @login_not_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        visit = own_page.visit(request.COOKIES.get(COOKIE, ""))
        if visit is None:
            return _closed(request)
        most, what = (LOOKS, "look") if request.method == "GET" else (DEEDS, "deed")
        if not page_limits.take(f"own-page-{what}", str(visit.link.public_id), most):
            return _too_often(request)
        if visit.customer is None:
            return _answer(request, "console/own_page/erased.html", {})
        return _hardened(view(request, visit))

    return guarded


@require_GET
@login_not_required
@never_cache
def arrive(request: HttpRequest, token: str) -> HttpResponse:
    """The address of the link: its token goes into a cookie, and out of the address."""
    visit = own_page.visit(token)
    if visit is None:  # a good link opens for everybody: a network's customers may share one address
        guessed = page_limits.take("own-page-arrival", sign_in.address_of(request), ARRIVALS)
        return _closed(request) if guessed else _too_often(request)
    own_page.note_opened(visit.link)
    response = redirect("own-page:page")
    _remember(request, response, COOKIE, token, visit.link.expires_at)
    response.delete_cookie(KNOWN, path=PATH)
    return _hardened(response)


@require_GET
@_visited
def page(request: HttpRequest, visit: Visit) -> HttpResponse:
    """What we know of her, masked, and what she may do."""
    language = request.GET.get("lang", "")
    if language in dict(settings.LANGUAGES):
        response = redirect("own-page:page")
        sign_in.remember_language(response, language)
        return response
    return _page(request, visit)


@require_POST
@_visited
def know(request: HttpRequest, visit: Visit) -> HttpResponse:
    """The answer to the question who she is."""
    try:
        right = own_page.is_she(visit, request.POST.get("answer", "")[:120])
    except PrivacyRefused as refused:
        return _closed(request, refusal_text(refused))
    if not right:
        return _page(request, visit, problem=_("That is not what we know. Look at it again."))
    response = redirect(f"{PATH}?done=known")
    _remember(request, response, KNOWN, own_page.known_token(visit.link), clock.wall() + own_page.KNOWN_FOR)
    return response


@require_POST
@_visited
def choose(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Withdraw, object, be left alone: at once, without a question. Agreeing needs the answer: whoever made the link,
    or found it, must not agree for her."""
    what, on = request.POST.get("what", ""), request.POST.get("on") == "1"
    customer = visit.customer
    assert customer is not None  # noqa: S101 - `_visited` answers for those who are erased
    if what not in (*CHANNELS, *CHOICES) or (what == minors.GUARDIAN and not _is_child(customer)):
        return _page(request, visit, problem=_("Choose one of the buttons."))
    if on != (what == "quiet") and not _is_known(request, visit):
        return _page(request, visit, problem=_("Say first who you are."))
    if what == minors.GUARDIAN and on and request.POST.get("sure") != "1":
        return _page(request, visit, problem=_("Tick that you are her guardian."))
    # The link is named, so that an auditor sees which colleague had made it.
    changes: dict[str, Any] = {"what": what, "on": on, "link": str(visit.link.public_id)}
    try:
        with transaction.atomic():
            _note(customer.pk, what, on)
            audit.record(own_page.CUSTOMER, "privacy.chose", "customer", customer.public_id, changes)
    except NoIdentity:
        return _page(request, visit, problem=_("Nothing is known of you under which this could be noted."))
    return redirect(f"{PATH}?done=noted")


def _note(number: int, what: str, on: bool) -> None:
    if what == "quiet":
        services.set_do_not_disturb(number, on, source=SOURCE)
    elif what == PERSONALISATION:
        services.set_personalisation(number, on, source=SOURCE)
    else:
        purpose, channel = (what, minors.ANY_CHANNEL) if what == minors.GUARDIAN else ("marketing", what)
        text = consents.current_text(purpose) if on else None
        version = text.version if text else ""
        services.change_consent(number, purpose, channel, given=on, text_version=version, source=SOURCE)


def _is_child(customer: Customer) -> bool:
    return bool(minors.among([customer.pk], clock.today()))


@require_POST
@_visited
def ask(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask for something that a person does: set right, delete, anything else. Only after the right answer."""
    kind = request.POST.get("kind", "")
    if kind not in KINDS or visit.customer is None:
        return _page(request, visit, problem=_("Choose one of the buttons."))
    if kind != PrivacyRequest.OTHER and not _is_known(request, visit):
        return _page(request, visit, problem=_("Say first who you are."))
    if kind == PrivacyRequest.ERASE and request.POST.get("sure") != "1":
        return _page(request, visit, problem=_("Tick that you have read what deleting means."))
    try:
        own_page.ask(visit.customer, kind, request.POST.get("text", ""), objects=request.POST.get("objects") == "1")
    except PrivacyRefused as refused:
        return _page(request, visit, problem=refusal_text(refused))
    return redirect(f"{PATH}?done=asked")


@require_GET
@_visited
def copy(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Everything that is held about her, to read or (`format=json`) for another program, which `format=schema` tells
    how to read it."""
    customer = visit.customer
    if customer is None or not _is_known(request, visit):
        return redirect("own-page:page")
    if request.GET.get("format") == "schema":
        return _file(schema(), "my-data.schema.json")
    if not page_limits.take("own-page-copy", str(visit.link.public_id), COPIES):
        return _too_often(request)
    parts = copies.copy_of(customer, own_page.CUSTOMER)
    if request.GET.get("format") == "json":
        content = {part.code: copies.plain(part.data) for part in parts}
        return _file(content, "my-data.json")
    writer = Writer(parts)
    shown = [(PARTS.get(part.code, part.label), None if part.data is None else writer.sections(part)) for part in parts]
    return _answer(request, "console/own_page/copy.html", {"parts": shown})


def _file(content: Any, name: str) -> HttpResponse:
    response = HttpResponse(json.dumps(content, ensure_ascii=False, indent=1), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
@login_not_required
@never_cache
def leave(request: HttpRequest) -> HttpResponse:
    """Forget the link in this browser."""
    response = _closed(request, _("You have left the page."))
    for name in (COOKIE, KNOWN):
        response.delete_cookie(name, path=PATH)
    return response


def _page(request: HttpRequest, visit: Visit, problem: str = "") -> HttpResponse:
    customer = visit.customer
    assert customer is not None  # noqa: S101 - see above
    now = clock.now()
    known = queries.portrait(customer.public_id, now)
    quiet, text = known.do_not_disturb, consents.current_text("marketing")
    said = {(one.purpose, one.channel): one for one in known.consents}
    chinese = (get_language() or "").startswith("zh")
    is_known = _is_known(request, visit)
    values = {
        "known": known,
        "identities": [(words.IDENTITIES.get(one.kind, one.kind), _shown(one, is_known)) for one in known.identities],
        "metrics": commerce.metrics_of(customer.pk, now),
        "channels": _channels(customer.pk, said),
        "text": (text.zh_hans if chinese else text.en) if text else "",
        "quiet": bool(quiet and quiet.on and (quiet.until is None or quiet.until > now)),
        "personal": not any(one.purpose == PERSONALISATION and not one.given for one in known.consents),
        "child": _is_child(customer),
        "guardian": said.get((minors.GUARDIAN, minors.ANY_CHANNEL)),
        "is_known": is_known,
        "question": QUESTIONS.get(own_page.question_for(customer), ""),
        "requests": [(KINDS[one.kind], one, *STATES[one.state]) for one in own_page.requests_of(customer)],
        "days": limits.current().answer_days,
        "until": visit.link.expires_at,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "problem": problem,
    }
    return _answer(request, "console/own_page/page.html", values, status=422 if problem else 200)


def _shown(one: IdentityView, is_known: bool) -> str:
    """Nothing that is asked for may be read on the page that asks for it; what is masked elsewhere is so here."""
    return HIDDEN if one.kind in QUESTIONS and one.kind not in DIRECT_KINDS and not is_known else one.shown


def _channels(number: int, said: dict[tuple[str, str], Any]) -> list[tuple[str, Any]]:
    """Ways by which we may write to her: those that we know a word of, and WeCom where she has a friend."""
    friend = Relation.objects.filter(customer=number, state=Relation.ACTIVE).exists()
    return [
        (code, {"label": words.CHANNELS[code], "said": said.get(("marketing", code))})
        for code in CHANNELS
        if ("marketing", code) in said or (code == "wecom" and friend)
    ]


def _is_known(request: HttpRequest, visit: Visit) -> bool:
    return own_page.is_known(visit.link, request.COOKIES.get(KNOWN, ""))


def _remember(request: HttpRequest, response: HttpResponse, name: str, value: str, until: Any) -> None:
    seconds = max(0, int((until - clock.wall()).total_seconds()))
    response.set_cookie(
        name, value, max_age=seconds, path=PATH, httponly=True, samesite="Lax", secure=request.is_secure()
    )


def _closed(request: HttpRequest, why: str = "") -> HttpResponse:
    return _answer(request, "console/own_page/closed.html", {"why": why}, status=200 if why else 404)


def _too_often(request: HttpRequest) -> HttpResponse:
    response = _answer(request, "console/own_page/closed.html", {"often": True}, status=429)
    response["Retry-After"] = str(page_limits.HOUR_S)
    return response


def _answer(request: HttpRequest, template: str, values: dict[str, Any], status: int = 200) -> HttpResponse:
    rules = limits.current()
    values |= {"officer": rules.officer, "contact": rules.contact}
    return _hardened(render(request, template, values, status=status))


def _hardened(response: HttpResponse) -> HttpResponse:
    # Not "no-referrer": browsers then send `Origin: null` with forms, which the check of forgeries refuses.
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
