"""Choosing columns, and keeping, sharing and removing views of a list."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.console.lists.registry import TABLES
from hetang.console.lists.tables import SHARE, Table, address_of, kept, known_codes
from hetang.console.models import ListColumns, SavedView
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, signed_in

MOST = 50  # views of one person and list


@require_POST
@signed_in
def choose_columns(request: HttpRequest, code: str) -> HttpResponse:
    """Remember which columns this person sees in this list; none chosen at all means the usual ones."""
    table, actor = _table(request, code)
    mine = ListColumns.objects.filter(user=actor.user_id, list=table.code)
    if "usual" in request.POST:
        mine.delete()
    else:
        columns = known_codes(table, request.POST.getlist("column"))
        ListColumns.objects.update_or_create(user_id=actor.user_id, list=table.code, defaults={"columns": columns})
    return redirect(_back(request, table))


@require_POST
@signed_in
def save_view(request: HttpRequest, code: str) -> HttpResponse:
    """Keep the filters, the order and the columns under a name; a view of one's own with that name is replaced."""
    table, actor = _table(request, code)
    name = request.POST.get("name", "").strip()[:40]
    if not name:
        messages.error(request, _("Give the view a name."))
        return redirect(_back(request, table))
    mine = SavedView.objects.filter(list=table.code, owner=actor.user_id)
    if mine.count() >= MOST and not mine.filter(name=name).exists():
        messages.error(request, _("You have %(n)d views of this list. Remove one first.") % {"n": MOST})
        return redirect(_back(request, table))
    view = _save(request, table, actor, name)
    messages.success(request, _("The view “%(name)s” is kept.") % {"name": view.name})
    return redirect(address_of(view, reverse(table.url_name)))


@require_POST
@signed_in
def remove_view(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Remove a view: one's own, or a shared one if one may share. The list itself stays."""
    actor = actor_of(request)
    view = SavedView.objects.filter(public_id=public_id).first()
    if view is None or not (view.owner_id == actor.user_id or (view.shared and actor.can(SHARE))):
        raise Http404
    with transaction.atomic():
        if SavedView.objects.filter(pk=view.pk).delete()[0]:
            audit.record(actor, "view.removed", "view", view.public_id, {"list": view.list, "title": view.name})
    messages.success(request, _("The view “%(name)s” is removed.") % {"name": view.name})
    table = TABLES.get(view.list)
    return redirect(table.url_name if table else "console:home")


@transaction.atomic
def _save(request: HttpRequest, table: Table, actor: Actor, name: str) -> SavedView:
    shared = "shared" in request.POST and actor.can(SHARE)
    values = {
        "query": kept(table, request.POST),
        "columns": known_codes(table, request.POST.getlist("column")),
        "shared": shared,
    }
    view, _created = SavedView.objects.update_or_create(
        owner_id=actor.user_id,
        list=table.code,
        name=name,
        defaults=values,
        create_defaults={**values, "created_at": clock.now()},
    )
    changes = {"list": table.code, "title": name, "shared": shared, "filter": values["query"]}
    audit.record(actor, "view.saved", "view", view.public_id, changes)
    return view


def _table(request: HttpRequest, code: str) -> tuple[Table, Actor]:
    table, actor = TABLES.get(code), actor_of(request)
    if table is None or not actor.can(table.permission):
        raise Http404
    return table, actor


def _back(request: HttpRequest, table: Table) -> str:
    """The page it came from, if that is a page of this list."""
    target = request.POST.get("next", "")
    fine = url_has_allowed_host_and_scheme(target, allowed_hosts=None) and target.startswith(reverse(table.url_name))
    return target if fine else reverse(table.url_name)
