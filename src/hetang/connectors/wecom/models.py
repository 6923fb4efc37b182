"""Corps and apps we are connected to, their tokens, and the callbacks that wait to be applied. Secrets are sealed."""

from __future__ import annotations

import os
from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id

OFFICIAL_URL = "https://qyapi.weixin.qq.com"


class Corp(models.Model):
    """A WeCom corp. One is the default: its first app sends. `simulated` ones are labelled where a person sees them."""

    id = models.BigAutoField(primary_key=True)
    corpid = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    base_url = models.CharField(max_length=200, default=OFFICIAL_URL)
    is_default = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    calls_per_minute = models.IntegerField(default=1000)  # per API; the platform allows 10,000
    concurrency = models.IntegerField(default=5)  # per API
    created_at = models.DateTimeField()

    @property
    def address(self) -> str:
        """Base URL of the API. A simulated corp follows the simulator, whose port may change with each start."""
        told = os.environ.get("HETANG_SIMULATOR_URL", "") if self.simulated else ""
        return (told or self.base_url).rstrip("/")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], name="wecom_one_default", condition=models.Q(is_default=True)
            )
        ]


class App(models.Model):
    """A self-built app of a corp. `public_id` names it in the callback's address."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    corp = models.ForeignKey(Corp, models.PROTECT, related_name="apps")
    agentid = models.BigIntegerField()
    name = models.CharField(max_length=80, blank=True, default="")
    secret = models.BinaryField()  # sealed
    callback_token = models.BinaryField(null=True)  # sealed
    callback_aes_key = models.BinaryField(null=True)  # sealed
    listen_only = models.BooleanField(default=False)  # gets callbacks, never calls
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "agentid"], name="wecom_app_once")]


class AccessToken(models.Model):
    """The one token of an app, shared by all processes. Who holds the lease (real time) fetches the next one."""

    app = models.OneToOneField(App, models.CASCADE, primary_key=True)
    token = models.BinaryField(null=True)  # sealed
    expires_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)


class RefusedRecipient(models.Model):
    """Somebody whom WeCom did not take into a task (`fail_list`): its results never mention her."""

    id = models.BigAutoField(primary_key=True)
    msgid = models.CharField(max_length=80)
    external_userid = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["msgid", "external_userid"], name="wecom_refused_once")
        ]


class CallbackMessage(models.Model):
    """An event as it was decrypted, once per event however often it is delivered; applied by the callbacks loop."""

    WAITING, APPLIED, IGNORED = "waiting", "applied", "ignored"
    STATES: ClassVar = [(state, state) for state in (WAITING, APPLIED, IGNORED)]

    id = models.BigAutoField(primary_key=True)
    app = models.ForeignKey(App, models.CASCADE)
    dedupe_key = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField()
    body = models.BinaryField()  # sealed clear text
    state = models.CharField(max_length=10, choices=STATES, default=WAITING)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="wecom_callback_waiting", condition=models.Q(state="waiting"))
        ]
