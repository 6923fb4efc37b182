"""The callback address: verify, decrypt, store, answer. Nothing else happens before the answer."""

from __future__ import annotations

import logging
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from hetang.connectors.wecom import crypto, events
from hetang.connectors.wecom.crypto import CallbackRefused
from hetang.connectors.wecom.models import App
from hetang.facts import intake, refusals
from hetang.platform import clock
from hetang.platform.sealing import seal, unseal

log = logging.getLogger(__name__)
MAX_BYTES = 1 << 20
SOURCE = "wecom"


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "POST"])
def callback(request: HttpRequest, app: UUID) -> HttpResponse:
    """GET proves to WeCom that the address is ours; POST brings one event."""
    found = App.objects.select_related("corp").filter(public_id=app).first()
    if found is None or found.callback_token is None or found.callback_aes_key is None:
        return HttpResponse(status=404)
    try:
        if request.method == "GET":
            # Some proxies turn the plus signs of base64 into spaces.
            echo = _open(found, request, request.GET.get("echostr", "").replace(" ", "+"))
            return HttpResponse(echo, content_type="text/plain")
        if len(request.body) > MAX_BYTES:
            raise CallbackRefused("size")
        envelope = events.fields_of(request.body.decode("utf-8", "replace"))
        _store(found, _open(found, request, envelope.get("Encrypt", "")))
    except CallbackRefused as problem:
        log.warning("callback of app %s refused: %s", found.agentid, problem)
        return HttpResponse(status=403)
    return HttpResponse("success", content_type="text/plain")


def _open(app: App, request: HttpRequest, encrypted: str) -> str:
    signed = tuple(request.GET.get(name, "") for name in ("msg_signature", "timestamp", "nonce"))
    return crypto.open_message(
        unseal(app.callback_token or b"").decode(),
        unseal(app.callback_aes_key or b"").decode(),
        app.corp.corpid,
        signed=(signed[0], signed[1], signed[2]),
        encrypted=encrypted,
    )


@transaction.atomic
def _store(app: App, clear: str) -> None:
    """Keep the event once; the callbacks loop applies it. A repeated delivery changes nothing."""
    fields = events.fields_of(clear)
    if refusals.is_refused("external_userid", fields.get("ExternalUserID", "")):
        return  # she was erased and does not want to be known again
    key = events.dedupe_key(fields)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into wecom_callbackmessage (app_id, dedupe_key, received_at, body, state)"
            " values (%s, %s, %s, %s, 'waiting') on conflict (dedupe_key) do nothing",
            [app.pk, key, clock.now(), seal(clear.encode())],
        )
        if cursor.rowcount == 1:
            intake.store_raw(SOURCE, clear.encode(), "callback")
