"""The second factor: one-time codes of an authenticator app (RFC 6238), recovery codes, devices that are remembered.

Secrets are sealed, codes and cookies kept as hashes. A code works once: the time step that it belongs to is moved
forward by a conditional update, so that two log-ins with the same code cannot both pass.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

import pyotp
import segno
from django.db import transaction
from django.db.models import Q

from hetang.platform import audit, clock, sealing
from hetang.platform.access import Actor, actor_for
from hetang.platform.brand import brand
from hetang.platform.login_rules import rules
from hetang.platform.models import RecoveryCode, TrustedDevice, TwoFactor, User

STEP_S = 30
DRIFT = 1  # steps by which a phone's clock may be off either way
CODES = 10
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is read as something else


@dataclass(frozen=True)
class Setup:
    """What somebody needs to set her app up: the secret in groups of four, and the same as a QR code (a data: URI)."""

    secret: str
    picture: str


def is_on(user: User) -> bool:
    """Whether the user has confirmed an app."""
    return TwoFactor.objects.filter(user=user).exclude(confirmed_at=None).exists()


def is_required(user: User) -> bool:
    """Whether one of her roles needs it."""
    needing = set(rules().two_factor_roles)
    return bool(needing) and any(held.role in needing for held in actor_for(user).held)


def begin(user: User) -> Setup:
    """A secret for an app that is not confirmed yet; asked again, the same. Nothing changes for who has one."""
    row, _made = TwoFactor.objects.get_or_create(
        user=user, defaults={"secret": sealing.seal(pyotp.random_base32().encode())}
    )
    if row.confirmed_at is not None:
        raise ValueError("the user has a second factor already")
    secret = sealing.unseal(row.secret).decode()
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=brand().name or "Hetang")
    picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=2, light="#ffffff")
    return Setup(" ".join(re.findall(".{4}", secret)), picture)


def confirm(user: User, code: str) -> list[str] | None:
    """Turn it on with a first code of the app; the recovery codes, shown once. None when the code is wrong."""
    with transaction.atomic():
        if not _use_step(user, code, confirmed=False):
            return None
        TwoFactor.objects.filter(user=user).update(confirmed_at=clock.wall())
        codes = _new_codes(user)
        audit.record(user.username, "two_factor.on", "user", user.pk)
    return codes


def check(user: User, code: str) -> str:
    """`app` or `recovery` when the code is right and was not used before; empty otherwise. Uses the code up."""
    if _use_step(user, code, confirmed=True):
        return "app"
    plain = re.sub(r"[\s-]", "", code.lower())
    used = RecoveryCode.objects.filter(user=user, code_hash=_hash(user, plain), used_at=None)
    return "recovery" if used.update(used_at=clock.wall()) else ""


def left(user: User) -> int:
    """How many recovery codes are unused."""
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def new_codes(user: User) -> list[str]:
    """Recovery codes that replace the old ones, shown once."""
    with transaction.atomic():
        codes = _new_codes(user)
        audit.record(user.username, "two_factor.codes", "user", user.pk)
    return codes


def turn_off(actor: Actor, user: User) -> bool:
    """Take the app, the codes and the remembered devices away; False when there were none.

    The user herself (who has shown her password) or an administrator who helps her.
    """
    with transaction.atomic():
        was_on = is_on(user)
        TwoFactor.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        forget_devices(user)
        if was_on:
            audit.record(actor, "two_factor.off", "user", user.pk)
    return was_on


def remember(user: User, agent: str) -> tuple[str, int]:
    """A cookie's value by which this browser is known again, and for how many seconds (0: nothing is remembered)."""
    days = rules().trust_days
    if not days:
        return "", 0
    token, now = secrets.token_urlsafe(32), clock.wall()
    TrustedDevice.objects.filter(user=user, expires_at__lte=now).delete()
    TrustedDevice.objects.create(
        user=user,
        token_hash=_hash(user, token),
        agent=agent[:200],
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    return token, days * 24 * 3600


def is_remembered(user: User, token: str) -> bool:
    """Whether the cookie is that of a browser that the user has shown the second factor with lately."""
    if not token or not rules().trust_days:
        return False
    return TrustedDevice.objects.filter(user=user, token_hash=_hash(user, token), expires_at__gt=clock.wall()).exists()


def forget_devices(user: User) -> None:
    """Let every browser show the second factor again."""
    TrustedDevice.objects.filter(user=user).delete()


def _use_step(user: User, code: str, *, confirmed: bool) -> bool:
    """Find the time step whose code this is and move on beyond it; False when it is none or was passed already."""
    row = TwoFactor.objects.filter(user=user, confirmed_at__isnull=not confirmed).first()
    plain = re.sub(r"\s", "", code)
    if row is None or not re.fullmatch("[0-9]{6}", plain):
        return False
    app = pyotp.TOTP(sealing.unseal(row.secret).decode())
    now = int(clock.wall().timestamp()) // STEP_S
    for step in range(now - DRIFT, now + DRIFT + 1):
        if hmac.compare_digest(app.generate_otp(step), plain):
            # One used in a future that the clock has come back from must not keep her out until then.
            unused = Q(last_step__lt=step) | Q(last_step__gt=now + DRIFT)
            return TwoFactor.objects.filter(unused, pk=row.pk).update(last_step=step) == 1
    return False


def _new_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    plain = ["".join(secrets.choice(_LETTERS) for _ in range(12)) for _ in range(CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, code_hash=_hash(user, code)) for code in plain)
    return ["-".join(re.findall(".{4}", code)) for code in plain]


def _hash(user: User, value: str) -> str:
    return hashlib.sha256(f"{user.pk}\0{value}".encode()).hexdigest()
