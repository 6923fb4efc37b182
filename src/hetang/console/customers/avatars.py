"""Customers' avatars, served from here."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from hetang.connectors.wecom import avatars
from hetang.customers import minors
from hetang.platform import clock
from hetang.platform.access import actor_of, needs, own_customers

VIEW = "customers:view"


@require_GET
@needs(VIEW)
def avatar(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The avatar of a customer of the actor's own company; of children none is shown."""
    number = own_customers(actor_of(request), VIEW).filter(public_id=public_id).values_list("number", flat=True).first()
    if number is None or minors.among([number], clock.today()):
        raise Http404
    picture = avatars.picture_of(number)
    if picture is None:
        raise Http404
    return HttpResponse(picture, content_type="image/jpeg")
