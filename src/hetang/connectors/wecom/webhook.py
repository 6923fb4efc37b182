"""The callback address: verify, decrypt, store, answer. Nothing else happens before the answer."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from hetang.connectors.wecom import crypto, events, inbox
from hetang.connectors.wecom.crypto import CallbackRefused
from hetang.connectors.wecom.models import App
from hetang.facts import refusals
from hetang.platform import clock
from hetang.platform.metrics import Counter
from hetang.platform.sealing import seal, unseal

log = logging.getLogger(__name__)
MAX_BYTES = 1 << 20
_KNOWN_S = 5.0  # for so long a process believes what it read of an app

ARRIVED = Counter("hetang_wecom_callbacks_total", "Callbacks that came, by what became of them.", ("outcome",))


@dataclass(frozen=True)
class _Receiver:
    """What it takes to open the messages of an app."""

    app_id: int
    agentid: int
    corpid: str
    token: str
    aes_key: str


_receivers: dict[UUID, tuple[float, _Receiver | None]] = {}


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "POST"])
def callback(request: HttpRequest, app: UUID) -> HttpResponse:
    """GET proves to WeCom that the address is ours; POST brings one event."""
    found = _receiver(app)
    if found is None:
        return HttpResponse(status=404)
    try:
        if request.method == "GET":
            # Some proxies turn the plus signs of base64 into spaces.
            echo = _open(found, request, request.GET.get("echostr", "").replace(" ", "+"))
            _note_echo(found, "")
            return HttpResponse(echo, content_type="text/plain")
        if len(request.body) > MAX_BYTES:
            raise CallbackRefused("size")
        envelope = events.fields_of(request.body.decode("utf-8", "replace"))
        _store(found, _open(found, request, envelope.get("Encrypt", "")))
    except CallbackRefused as problem:
        ARRIVED.add("refused")
        log.warning("callback of app %s refused: %s", found.agentid, problem)
        if request.method == "GET":
            _note_echo(found, str(problem))
        return HttpResponse(status=403)
    return HttpResponse("success", content_type="text/plain")


def forget() -> None:
    """Look again at the apps at once."""
    _receivers.clear()


def _note_echo(app: _Receiver, problem: str) -> None:
    """Keep that WeCom proved the address, or why its try was refused as long as none was right: anybody may try, so at
    most one write a minute, and what worked stays."""
    rows = App.objects.filter(pk=app.app_id)
    if problem:
        rows.filter(echoed_at=None).exclude(echo_problem=problem[:40]).update(echo_problem=problem[:40])
    else:
        lately = clock.now() - timedelta(minutes=1)
        rows.exclude(echoed_at__gt=lately).update(echoed_at=clock.now(), echo_problem="")


def _receiver(public_id: UUID) -> _Receiver | None:
    known = _receivers.get(public_id)
    if known is not None and known[1] is not None and time.monotonic() - known[0] < _KNOWN_S:
        return known[1]
    found = App.objects.select_related("corp").filter(public_id=public_id).first()
    if found is None or found.callback_token is None or found.callback_aes_key is None:
        return None
    receiver = _Receiver(
        app_id=found.pk,
        agentid=found.agentid,
        corpid=found.corp.corpid,
        token=unseal(found.callback_token).decode(),
        aes_key=unseal(found.callback_aes_key).decode(),
    )
    _receivers[public_id] = (time.monotonic(), receiver)
    return receiver


def _open(app: _Receiver, request: HttpRequest, encrypted: str) -> str:
    signed = tuple(request.GET.get(name, "") for name in ("msg_signature", "timestamp", "nonce"))
    return crypto.open_message(
        app.token, app.aes_key, app.corpid, signed=(signed[0], signed[1], signed[2]), encrypted=encrypted
    )


def _store(app: _Receiver, clear: str) -> None:
    """Keep the event once; loops apply it. A repeated delivery changes nothing."""
    fields = events.fields_of(clear)
    if refusals.is_refused("external_userid", fields.get("ExternalUserID", "")):
        ARRIVED.add("objected")
        return  # she was erased and does not want to be known again
    code = fields.get("WelcomeCode", "")
    inbox.keep(
        inbox.Arrived(
            app_id=app.app_id,
            dedupe_key=events.dedupe_key(fields),
            event=fields.get("Event", ""),
            change=fields.get("ChangeType", ""),
            body=seal(clear.encode()),
            userid=fields.get("UserID", "")[:64],
            external_userid=fields.get("ExternalUserID", "")[:64],
            channel_state=fields.get("State", "")[:64],
            code=seal(code.encode()) if code else None,
            happened_at=fields.get("CreateTime", "") if events.at_of(fields) else "",
        )
    )
    ARRIVED.add("kept")
