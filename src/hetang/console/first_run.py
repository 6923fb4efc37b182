"""The first visit to an empty installation: the brand and the first user, guarded by a code that only the machine's
owner can read (in the home directory, printed by `hetang up`)."""

from __future__ import annotations

import hmac
import secrets
import zoneinfo
from typing import Any

from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from hetang.console import sign_in
from hetang.platform import audit, clock, environment, organisation
from hetang.platform import brand as brand_cache
from hetang.platform.almanac.occasions import country_of
from hetang.platform.models import Brand, Grant, OrgNode, User
from hetang.platform.passwords import Length
from hetang.platform.roles import ADMINISTRATOR, HEADQUARTERS

CURRENCIES = {"CNY": 2, "USD": 2, "EUR": 2, "GBP": 2, "HKD": 2, "SGD": 2, "TWD": 2, "JPY": 0}
CURRENCY_CHOICES = (
    ("CNY", _("CNY, yuan")),
    ("USD", _("USD, US dollar")),
    ("EUR", _("EUR, euro")),
    ("GBP", _("GBP, pound sterling")),
    ("HKD", _("HKD, Hong Kong dollar")),
    ("SGD", _("SGD, Singapore dollar")),
    ("TWD", _("TWD, Taiwan dollar")),
    ("JPY", _("JPY, yen")),
)
_LOCK = 0x48455441  # advisory lock: two browsers cannot both make the first user


def code() -> str:
    """The set-up code of this home, made on first use; `hetang up` prints it while there is no user."""
    path = environment.ensure_home() / "setup-code"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(8))
    return path.read_text().strip()


def needed() -> bool:
    """Whether nobody can log in yet."""
    return not User.objects.exists()


class SetupForm(forms.Form):
    """The brand, the first user, and the code that shows whose machine it is."""

    code = forms.CharField(
        label=_("Set-up code"),
        help_text=_("Printed where Hetang was started; also in the file setup-code of its home."),
    )
    brand = forms.CharField(label=_("Brand name"), max_length=80)
    currency = forms.ChoiceField(label=_("Currency"), choices=CURRENCY_CHOICES, initial="CNY")
    time_zone = forms.CharField(
        label=_("Time zone"),
        initial="Asia/Shanghai",
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
    )
    username = forms.CharField(label=_("Your user name"), max_length=80)
    password = forms.CharField(label=_("Password"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = Length().get_help_text()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("password"):
            try:
                validate_password(values["password"], User(username=values.get("username", "")))
            except ValidationError as weak:
                self.add_error("password", weak)
        return values

    def clean_code(self) -> str:
        given: str = self.cleaned_data["code"]
        if not hmac.compare_digest(given.strip().encode(), code().encode()):
            raise ValidationError(_("This is not the code of this installation."))
        return given

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name not in zoneinfo.available_timezones():
            raise ValidationError(_("This time zone is not known. Use a name such as Asia/Shanghai."))
        return name


@login_not_required
def set_up(request: HttpRequest) -> HttpResponse:
    """The set-up page; gone once somebody can log in."""
    if not needed():
        return redirect("console:login")
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = create_first_user(form.cleaned_data, language=get_language() or "zh-hans")
        if user is not None:
            sign_in.note_origin(request)
            login(request, user)
        return redirect("console:home")
    values = {"form": form, "zones": sorted(name for name in zoneinfo.available_timezones() if "/" in name)}
    return render(request, "console/setup.html", values, status=422 if form.errors else 200)


@transaction.atomic
def create_first_user(values: dict[str, Any], language: str) -> User | None:
    """Brand, organisation root, user and grant in one transaction; None when somebody else was first."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    if not needed():
        return None
    _set_brand(values)
    root = organisation.root()
    OrgNode.objects.filter(pk=root.pk, name="").update(name=values["brand"])
    user = User.objects.create_user(values["username"], values["password"], language=language, created_at=clock.now())
    for role in (ADMINISTRATOR, HEADQUARTERS):
        Grant.objects.create(user=user, role=role, org_node=root, granted_at=clock.now())
    changes = {"username": user.username, "roles": [ADMINISTRATOR, HEADQUARTERS]}
    audit.record(user.username, "user.created", "user", user.pk, changes)
    (environment.home() / "setup-code").unlink(missing_ok=True)
    return user


def _set_brand(values: dict[str, Any]) -> None:
    currency = values["currency"]
    Brand.objects.update_or_create(
        id=1,
        defaults={
            "name": values["brand"],
            "currency": currency,
            "currency_digits": CURRENCIES[currency],
            "time_zone": values["time_zone"],
            "country": country_of(values["time_zone"]),
        },
    )
    brand_cache.forget()
