"""Welcome templates of group chats (section 12): made, changed and removed at WeCom; which groups should greet with
one, and what their owners answer when they are asked whether they have set it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import override

from hetang.communities.models import GroupChat
from hetang.connectors.wecom import enclosures
from hetang.connectors.wecom.client import client_of, default_app
from hetang.connectors.wecom.enclosures import Enclosed
from hetang.connectors.wecom.errors import Unanswered, WeComError
from hetang.connectors.wecom.models import GroupWelcome, GroupWelcomeUse
from hetang.connectors.wecom.protocol.groups import (
    ADD_TEMPLATE,
    DELETE_TEMPLATE,
    EDIT_TEMPLATE,
    AddWelcomeTemplate,
    DeleteTemplate,
    EditWelcomeTemplate,
)
from hetang.connectors.wecom.protocol.messages import TELL_STAFF, AgentMessage, Image, Link, Text
from hetang.platform import audit, clock, files
from hetang.platform.access import Actor
from hetang.platform.models import StoredFile
from hetang.platform.registry_values import from_environment

TEXT_BYTES = 3000
MOST = 100  # templates of a corp (41055)
OWNERS_AT_ONCE = 500  # of one message; the platform takes 1,000
ASK_AGAIN = timedelta(days=1)
_GONE = frozenset({40037, 301002})
LANGUAGE = "zh-hans"  # staff read it in their client


@dataclass(frozen=True)
class Said:
    """What somebody wrote. `picture`: address at WeCom and name; None leaves it as it is."""

    name: str
    text: str = ""
    link: dict[str, Any] = field(default_factory=dict)
    picture: tuple[str, str] | None = None
    enclosed: Enclosed = field(default_factory=Enclosed)
    tell_owners: bool = True


def make(actor: Actor, said: Said) -> GroupWelcome:
    """Make a template at WeCom. The row stands before the call; without an answer it stays as `unknown`.

    Raises like `Client.call` (then nothing is kept, but for Unanswered), and NotConnected.
    """
    app = default_app()
    welcome = GroupWelcome(app=app)
    _write(welcome, actor, said)
    with transaction.atomic():
        welcome.save()
        audit.record(actor, "wecom.group_welcome_made", "group_welcome", welcome.public_id, {"name": welcome.name})
    try:
        asked = AddWelcomeTemplate(notify=int(said.tell_owners), agentid=app.agentid, **_content(welcome))
        answer = client_of(app).call(ADD_TEMPLATE, asked)
    except Unanswered:
        GroupWelcome.objects.filter(pk=welcome.pk).update(state=GroupWelcome.UNKNOWN)
        raise
    except BaseException:
        welcome.delete()
        raise
    welcome.template_id, welcome.state = answer.template_id, GroupWelcome.MADE
    welcome.save(update_fields=["template_id", "state"])
    return welcome


def change(actor: Actor, welcome: GroupWelcome, said: Said) -> None:
    """Change it at WeCom, then here: groups that have set it greet with the new words. Raises like `Client.call`."""
    unused = _write(welcome, actor, said)
    if welcome.state == GroupWelcome.MADE:
        asked = EditWelcomeTemplate(template_id=welcome.template_id, agentid=welcome.app.agentid, **_content(welcome))
        client_of(welcome.app).call(EDIT_TEMPLATE, asked)
    with transaction.atomic():
        welcome.save()
        audit.record(actor, "wecom.group_welcome_changed", "group_welcome", welcome.public_id, {"name": welcome.name})
    for file in unused:
        files.remove(file)


def remove(actor: Actor, welcome: GroupWelcome) -> None:
    """Delete it at WeCom and here. Raises like `Client.call`; one that WeCom does not know any more is no error."""
    if welcome.template_id:
        try:
            asked = DeleteTemplate(template_id=welcome.template_id, agentid=welcome.app.agentid)
            client_of(welcome.app).call(DELETE_TEMPLATE, asked)
        except WeComError as problem:
            if problem.code not in _GONE:
                raise
    with transaction.atomic():
        audit.record(actor, "wecom.group_welcome_removed", "group_welcome", welcome.public_id, {"name": welcome.name})
        _forget(welcome)


def give(actor: Actor, welcome: GroupWelcome, groups: QuerySet[GroupChat]) -> int:
    """Let these groups greet with it; what they had before ends. Returns how many are new. One statement."""
    chosen, params = groups.filter(dissolved_at=None).order_by().values("pk").query.sql_with_params()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_GIVE.replace("{groups}", chosen), [welcome.pk, *params])
        count = int(cursor.rowcount)
        details = {"name": welcome.name, "groups": count}
        audit.record(actor, "wecom.group_welcome_given", "group_welcome", welcome.public_id, details)
    return count


def ask_owners(actor: Actor, welcome: GroupWelcome) -> int:
    """Ask the owners of groups that have not answered, at most once a day, by a message of the app. Returns how many.

    They are noted as asked before the message goes: nobody is asked twice. Raises like `Client.call`.
    """
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ASK, {"welcome": welcome.pk, "now": now, "before": now - ASK_AGAIN})
        owners = sorted({row[0] for row in cursor.fetchall()})
        details = {"name": welcome.name, "owners": len(owners)}
        audit.record(actor, "wecom.group_welcome_asked", "group_welcome", welcome.public_id, details)
    client = client_of(welcome.app)
    for start in range(0, len(owners), OWNERS_AT_ONCE):
        some = owners[start : start + OWNERS_AT_ONCE]
        client.call(
            TELL_STAFF,
            AgentMessage(
                msgtype="text",
                agentid=welcome.app.agentid,
                touser="|".join(some),
                text=Text(content=_question(welcome)),
            ),
        )
    return len(owners)


def answer(actor: Actor, group: GroupChat, *, is_set: bool) -> None:
    """Note what the owner (or who asked her) says. Raises GroupWelcomeUse.DoesNotExist."""
    with transaction.atomic():
        use = GroupWelcomeUse.objects.select_for_update().select_related("welcome").get(group=group)
        use.is_set, use.answered_at, use.answered_by = is_set, clock.now(), actor.name[:80]
        use.save(update_fields=["is_set", "answered_at", "answered_by"])
        changes = {"name": use.welcome.name, "is_set": is_set}
        audit.record(actor, "group_chat.welcome_answered", "group_chat", group.public_id, changes, group.org_node_id)


def counts_of(welcomes: Sequence[GroupWelcome]) -> dict[int, dict[str, int]]:
    """For each: groups that should greet with it, those of them that do, that do not, and that were asked."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [[one.pk for one in welcomes]])
        return {
            row[0]: {"groups": row[1], "set": row[2], "not_set": row[3], "asked": row[4]} for row in cursor.fetchall()
        }


def _write(welcome: GroupWelcome, actor: Actor, said: Said) -> list[StoredFile]:
    """Into the row, not saved yet. Returns the files that it no longer encloses."""
    welcome.name, welcome.text, welcome.link = said.name, said.text, said.link
    if said.picture is not None:
        welcome.picture_url, welcome.picture_name = said.picture[0], said.picture[1][:120]
    welcome.changed_at, welcome.changed_by = clock.now(), actor.name[:80]
    return enclosures.write(welcome, said.enclosed)


def _content(welcome: GroupWelcome) -> dict[str, Any]:
    """Text and one other, as WeCom takes it: picture, link, mini-program, file, video, whichever there is first."""
    content: dict[str, Any] = {}
    if welcome.text:
        content["text"] = Text(content=welcome.text)
    if welcome.picture_url:
        content["image"] = Image(pic_url=welcome.picture_url)
    elif welcome.link:
        content["link"] = Link(**{name: str(value) for name, value in welcome.link.items() if value})
    else:
        content |= dict(list(enclosures.parts(welcome, welcome.app).items())[:1])
    return content


def _question(welcome: GroupWelcome) -> str:
    with override(LANGUAGE):
        text = _(
            "Please set the welcome “%(name)s” in your group chats: in WeCom, Customer groups → Tools → Group welcome."
            " Then say so on the page of each group."
        ) % {"name": welcome.name}
    console = str(from_environment("web.console_url")).rstrip("/")
    return f"{text}\n{console}/groups/" if console else text


def _forget(welcome: GroupWelcome) -> None:
    enclosed = enclosures.files_of(welcome)
    welcome.delete()
    for file in enclosed.values():
        files.remove(file)


_GIVE = """
insert into wecom_groupwelcomeuse as u (welcome_id, group_id, answered_by)
select %s, chosen.id, '' from ({groups}) as chosen(id)
on conflict (group_id) do update set welcome_id = excluded.welcome_id, asked_at = null, is_set = null,
  answered_at = null, answered_by = ''
where u.welcome_id <> excluded.welcome_id
"""
_ASK = """
update wecom_groupwelcomeuse u set asked_at = %(now)s from communities_groupchat g
where u.welcome_id = %(welcome)s and g.id = u.group_id and g.dissolved_at is null and g.owner_userid <> ''
  and u.is_set is not true and (u.asked_at is null or u.asked_at <= %(before)s)
returning g.owner_userid
"""
_COUNTS = """
select welcome_id, count(*)::int, count(*) filter (where is_set)::int, count(*) filter (where not is_set)::int,
       count(*) filter (where asked_at is not null)::int
from wecom_groupwelcomeuse where welcome_id = any(%s) group by welcome_id
"""
