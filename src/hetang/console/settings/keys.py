"""API keys: made, shown once, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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
from hetang.platform import api_keys, audit, clock
from hetang.platform.access import actor_of, needs
from hetang.platform.models import ApiKey, User

LASTS = (
    ("90", gettext_lazy("90 days")),
    ("365", gettext_lazy("One year")),
    ("730", gettext_lazy("Two years")),
    ("", gettext_lazy("Without end")),
)


class KeyForm(forms.Form):
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


@never_cache
@needs("keys:manage")
def key_list(request: HttpRequest) -> HttpResponse:
    """All keys, and the form of a new one. The plain key is in the answer to its making and nowhere else."""
    form = KeyForm(request.POST or None)
    plain = ""
    if request.method == "POST" and form.is_valid():
        plain = _create(request, form.cleaned_data)
        form = KeyForm()
    keys = ApiKey.objects.select_related("created_by").order_by("-id")[:200]
    values = {
        "form": form,
        "plain": plain,
        "keys": [(key, _scope_labels(key)) for key in keys],
        "now": clock.wall(),
        "tabs": tabs("keys", actor_of(request)),
    }
    return render(request, "console/settings/keys.html", values, status=422 if form.errors else 200)


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


@transaction.atomic
def _create(request: HttpRequest, values: dict[str, Any]) -> str:
    user = User.objects.get(username=actor_of(request).name)
    lasts = timedelta(days=int(values["lasts"])) if values["lasts"] else None
    key, plain = api_keys.create(values["name"], values["scopes"], user, lasts)
    changes = {"name": key.name, "prefix": key.prefix, "scopes": key.scopes, "expires_at": key.expires_at}
    audit.record(actor_of(request), "api_key.created", "api_key", key.pk, changes)
    return plain


def _scope_labels(key: ApiKey) -> list[object]:
    return [api_keys.SCOPES.get(scope, scope) for scope in key.scopes]
