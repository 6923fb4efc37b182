"""API keys: made, shown once, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from hetang.console.settings.tabs import tabs
from hetang.facts.intake import MAX_FACTS
from hetang.platform import api_keys, audit, clock, rate_limits
from hetang.platform.access import actor_of, needs
from hetang.platform.models import ApiKey, User

LASTS = (
    ("90", gettext_lazy("90 days")),
    ("365", gettext_lazy("One year")),
    ("730", gettext_lazy("Two years")),
    ("", gettext_lazy("Without end")),
)


class LimitsForm(forms.Form):
    """What a key may send in a minute."""

    requests_a_minute = forms.IntegerField(
        label=gettext_lazy("Requests a minute"), min_value=1, max_value=api_keys.WIDE.requests, initial=600
    )
    facts_a_minute = forms.IntegerField(
        label=gettext_lazy("Records a minute"),
        min_value=MAX_FACTS,
        max_value=api_keys.WIDE.facts,
        initial=60_000,
        help_text=gettext_lazy("What is more is refused and may be sent again; nothing is lost."),
    )

    def limits(self) -> api_keys.Limits:
        """As the platform takes them; of a valid form."""
        return api_keys.Limits(self.cleaned_data["requests_a_minute"], self.cleaned_data["facts_a_minute"])


class KeyForm(LimitsForm):
    """A new key: who uses it and what it may do."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=80, help_text=gettext_lazy("Which system uses it, for example “till”.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=list(api_keys.SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    lasts = forms.ChoiceField(
        label=gettext_lazy("Valid for"),
        choices=LASTS,
        required=False,
        initial="365",
        help_text=gettext_lazy("An alert tells you in time before it ends."),
    )
    field_order = ("name", "scopes", "lasts", "requests_a_minute", "facts_a_minute")


@never_cache
@needs("keys:manage")
def key_list(request: HttpRequest) -> HttpResponse:
    """All keys, and the form of a new one. The plain key is in the answer to its making and nowhere else."""
    form = KeyForm(request.POST or None)
    plain = ""
    if request.method == "POST" and form.is_valid():
        plain = _create(request, form)
        form = KeyForm()
    keys = ApiKey.objects.select_related("created_by", "use").order_by("-id")[:200]
    values = {
        "form": form,
        "plain": plain,
        "keys": [_Row(key, _scope_labels(key), rate_limits.used_lately(key)) for key in keys],
        "now": clock.wall(),
        "tabs": tabs("keys", actor_of(request)),
    }
    return render(request, "console/settings/keys.html", values, status=422 if form.errors else 200)


@require_POST
@needs("keys:manage")
def limits(request: HttpRequest, key_id: int) -> HttpResponse:
    """Let a key send more or less in a minute."""
    key = get_object_or_404(ApiKey, pk=key_id, revoked_at=None)
    form = LimitsForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("A key may send 1 to 60,000 requests and 1,000 to 6,000,000 records a minute."))
        return redirect("settings:keys")
    chosen = form.limits()
    with transaction.atomic():
        if api_keys.set_limits(key, chosen):
            changes = {
                "requests_a_minute": [key.requests_a_minute, chosen.requests],
                "facts_a_minute": [key.facts_a_minute, chosen.facts],
            }
            audit.record(actor_of(request), "api_key.limits", "api_key", key.pk, changes)
    messages.success(request, _("The limits hold within five seconds."))
    return redirect("settings:keys")


@require_POST
@needs("keys:manage")
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Stop a key for good."""
    key = get_object_or_404(ApiKey, pk=key_id)
    with transaction.atomic():
        if api_keys.revoke(key):
            audit.record(actor_of(request), "api_key.revoked", "api_key", key.pk, {"prefix": key.prefix})
    messages.success(request, _("The key is revoked. It stops working within five seconds."))
    return redirect("settings:keys")


@dataclass(frozen=True)
class _Row:
    """A key with what it may do and what it used in the last minute: requests and facts."""

    key: ApiKey
    scopes: list[object]
    used: tuple[int, int]


@transaction.atomic
def _create(request: HttpRequest, form: KeyForm) -> str:
    values = form.cleaned_data
    user = User.objects.get(username=actor_of(request).name)
    lasts = timedelta(days=int(values["lasts"])) if values["lasts"] else None
    key, plain = api_keys.create(values["name"], values["scopes"], user, lasts, form.limits())
    changes = {"name": key.name, "prefix": key.prefix, "scopes": key.scopes, "expires_at": key.expires_at}
    changes |= {"requests_a_minute": key.requests_a_minute, "facts_a_minute": key.facts_a_minute}
    audit.record(actor_of(request), "api_key.created", "api_key", key.pk, changes)
    return plain


def _scope_labels(key: ApiKey) -> list[object]:
    return [api_keys.SCOPES.get(scope, scope) for scope in key.scopes]
