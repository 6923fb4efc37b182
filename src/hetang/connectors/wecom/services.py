"""Connecting to a corp: what the settings page and the demo write, and whether the connection works."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from django.db import transaction

from hetang.connectors.wecom import webhook
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.models import OFFICIAL_URL, AccessToken, App, CheckResult, Corp
from hetang.connectors.wecom.protocol.directory import FOLLOW_USERS
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.platform.sealing import seal, unseal


@transaction.atomic
def connect(
    *,
    corpid: str,
    agentid: int,
    secret: str,
    name: str = "",
    base_url: str = OFFICIAL_URL,
    callback_token: str = "",
    callback_aes_key: str = "",
    simulated: bool = False,
    calls_per_minute: int = 1000,
    concurrency: int = 5,
) -> App:
    """Create or change the default corp and one app of it. Secrets are sealed; a stored token is forgotten.

    The callback's address is `callback_path(app)`. Repeating it with the same values is harmless; other keys of the
    callback have to be proved anew.
    """
    Corp.objects.filter(is_default=True).exclude(corpid=corpid).update(is_default=False)
    said: dict[str, Any] = {
        "name": name,
        "base_url": base_url,
        "is_default": True,
        "simulated": simulated,
        "calls_per_minute": calls_per_minute,
        "concurrency": concurrency,
    }
    corp, _ = Corp.objects.update_or_create(
        corpid=corpid, defaults=said, create_defaults={**said, "created_at": clock.now()}
    )
    before = _keys_of(App.objects.select_related("corp").filter(corp=corp, agentid=agentid).first())
    app, _ = App.objects.update_or_create(
        corp=corp,
        agentid=agentid,
        defaults={
            "name": name,
            "secret": seal(secret.encode()),
            "callback_token": seal(callback_token.encode()) if callback_token else None,
            "callback_aes_key": seal(callback_aes_key.encode()) if callback_aes_key else None,
            "changed_at": clock.now(),
        },
    )
    if before != (corpid, callback_token, callback_aes_key):
        App.objects.filter(pk=app.pk).update(echoed_at=None, echo_problem="")
    AccessToken.objects.filter(app=app).delete()
    CheckResult.objects.filter(app=app).delete()
    webhook.forget()
    return app


def _keys_of(app: App | None) -> tuple[str, str, str] | None:
    if app is None:
        return None
    token, key = (unseal(one).decode() if one else "" for one in (app.callback_token, app.callback_aes_key))
    return app.corp.corpid, token, key


@transaction.atomic
def draw_callback_keys(actor: Actor, app: App) -> tuple[str, str]:
    """A new token and key for the callback, to be entered in WeCom's console: until then no event comes in.

    Raises Forbidden.
    """
    actor.require_everywhere("settings:edit")
    token, key = secrets.token_hex(12), base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    App.objects.filter(pk=app.pk).update(
        callback_token=seal(token.encode()),
        callback_aes_key=seal(key.encode()),
        echoed_at=None,
        echo_problem="",
        changed_at=clock.now(),
    )
    CheckResult.objects.filter(app=app, name="callback").delete()
    audit.record(actor, "wecom.keys_drawn", "wecom", app.corp.corpid)
    webhook.forget()
    return token, key


def callback_path(app: App) -> str:
    """Path of the app's callback address, to be put behind the installation's public address."""
    return f"/wecom/callback/{app.public_id}"


def members_with_customers(app: App) -> int:
    """How many members may have customers: one call, which shows that corp, secret, address and permission are right.

    Raises WeComError, NotSent or Unanswered. Up to three tries of ten seconds each.
    """
    return len(client_of(app).call(FOLLOW_USERS).follow_user)
