"""Whose login belongs to which member of staff: the same person under two names."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from hetang.platform import audit, users
from hetang.platform.access import Actor, system
from hetang.platform.models import User
from hetang.resources.models import Staff


class LinkRefused(Exception):
    """The login cannot be tied to that account. `code`: staff_unknown, staff_taken."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def staff_of(user_id: int | None) -> Staff | None:
    """The member of staff behind a login, if she is one and serves customers now."""
    return Staff.objects.select_related("store").filter(user=user_id, active=True).first() if user_id else None


def seen_by(actor: Actor) -> QuerySet[Staff]:
    """Staff whose names the actor may see beside users: of her own company, where she sees users."""
    return Staff.objects.filter(org_node__in=actor.own_scope(users.VIEW).org_nodes().values("pk"))


def linkable(actor: Actor) -> QuerySet[Staff]:
    """Staff whose accounts the actor may tie to logins: of her own company, where she manages users."""
    return Staff.objects.filter(org_node__in=actor.own_scope(users.MANAGE).org_nodes().values("pk"), active=True)


@transaction.atomic
def link(actor: Actor, user: User, userid: str) -> None:
    """Tie a login to the account `userid`, instead of the one it was tied to; an empty one unties it.

    It gives no right: what she sees is narrowed to what is hers. Roles that she had by her department go when she is
    untied from it. Raises Forbidden, LinkRefused, UserRefused.
    """
    users.require_whole(actor, user)
    User.objects.select_for_update().get(pk=user.pk)  # one link of a login at a time
    before = Staff.objects.filter(user=user).first()
    wanted = userid.strip()
    if wanted == (before.userid if before else ""):
        return
    after = linkable(actor).filter(userid=wanted).first() if wanted else None
    if wanted and after is None:
        raise LinkRefused("staff_unknown")
    Staff.objects.filter(user=user).update(user=None)
    if after is not None and not Staff.objects.filter(pk=after.pk, user=None).update(user=user):
        raise LinkRefused("staff_taken")
    if before is not None:
        users.give_by_rule(system("sign-on"), user, ())
    audit.record(actor, "user.linked", "user", user.pk, {"staff": [before.userid if before else "", wanted]})
