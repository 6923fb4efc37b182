"""Our tags into WeCom's catalogue: made, renamed and deleted there where the direction of their group says so.

What differs is compared, not queued: `TagStep` holds one row for each tag or group that WeCom lacks or calls
otherwise, and a step whose difference is gone is gone. The row says `asking` before WeCom is called. Where no answer
came, the catalogue is read first, and only what it still lacks is asked for again.

Only the corp that sends is written to, and WeCom lets an app change only what it made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from hetang.connectors.wecom import corp_tags, tagging
from hetang.connectors.wecom.client import Client, client_of, connected_app
from hetang.connectors.wecom.errors import Action, NotSent, RateLimited, Unanswered, WeComError
from hetang.connectors.wecom.models import App, Corp, CorpTag, CorpTagGroup, TagDirection, TagStep
from hetang.connectors.wecom.protocol.tags import (
    ADD_TAGS,
    DELETE_TAGS,
    EDIT_TAG,
    AddTags,
    DeleteTags,
    EditTag,
    NewTag,
)
from hetang.customers.models import TagGroup
from hetang.platform import clock
from hetang.platform.loops import Loop

AT_ONCE = 50  # tags in one call
FULL, UNKNOWN_TAG = 40126, 40068
_IDLE_S = 5.0
_LOST = timedelta(minutes=2)  # a call that began so long ago has no process any more
_PAUSE_S = 10
_LONGEST = timedelta(hours=1)


def run_once() -> float:
    """Look through what opened, compare, and ask WeCom once. Returns seconds until the next look."""
    _look_through()
    app = connected_app()
    if app is None or not TagDirection.objects.filter(direction__in=TagDirection.GOES_OUT).exists():
        return _IDLE_S
    client = client_of(app)
    if _lost(app.corp).exists() and not _look_up(client, app.corp):
        return _IDLE_S
    compare(app.corp)
    _open_again(app.corp)
    steps = _claim(app.corp)
    if not steps:
        return _IDLE_S
    _ask(client, app, steps)
    return 0.0


def compare(corp: Corp) -> None:
    """Bring the steps up to what differs now; those under way stay. A refusal stands until its reason is gone: another
    name, or `try_again`. Four statements for any number of tags."""
    with transaction.atomic(), connection.cursor() as cursor:
        for sql in (_FORGET_TAGS, _FORGET_GROUPS, _STEP_TAGS, _STEP_GROUPS):
            cursor.execute(sql, {"corp": corp.pk})


def try_again(group: TagGroup) -> int:
    """Let what WeCom refused of a group be asked once more, and what was deleted there be made again. Returns how many
    tags and groups that is."""
    own = Q(tag__group=group) | Q(group=group)
    with transaction.atomic():
        count = TagStep.objects.filter(own, state=TagStep.REFUSED).update(
            state=TagStep.WAITING, code=0, tries=1, again_at=None
        )
        lost = CorpTag.objects.filter(ours__group=group, ours__archived_at=None).exclude(deleted_at=None)
        return count + lost.update(ours=None)


def _lost(corp: Corp) -> QuerySet[TagStep]:
    stale = Q(state=TagStep.ASKING, asked_at__lt=clock.now() - _LOST)
    ready = Q(again_at=None) | Q(again_at__lte=clock.now())
    return TagStep.objects.filter(stale | (Q(state=TagStep.UNKNOWN) & ready), corp=corp)


def _look_up(client: Client, corp: Corp) -> bool:
    """Read the catalogue, and say of the calls that were lost what became of them. False if WeCom does not tell."""
    lost = list(_lost(corp))
    try:
        corp_tags.bring_in(client, corp)
    except (NotSent, Unanswered, WeComError):
        return False
    with transaction.atomic():
        _note_made(corp, [step for step in lost if step.verb == TagStep.MAKE])
        TagStep.objects.filter(pk__in=[step.pk for step in lost]).update(state=TagStep.WAITING, again_at=None)
    return True


def _open_again(corp: Corp) -> None:
    """What a setting in WeCom forbade is asked again an hour later: somebody may have changed it."""
    over = TagStep.objects.filter(corp=corp, state=TagStep.REFUSED, again_at__lte=clock.now())
    over.update(state=TagStep.WAITING, tries=1, again_at=None)


def _claim(corp: Corp) -> list[TagStep]:
    """Steps for one call, written down as being asked: one, or untried ones of a kind and group together."""
    now = clock.now()
    ready = TagStep.objects.filter(Q(again_at=None) | Q(again_at__lte=now), corp=corp, state=TagStep.WAITING)
    with transaction.atomic():
        free = ready.select_for_update(skip_locked=True, of=("self",)).select_related("tag", "group")
        first = free.order_by("tries", "id").first()
        if first is None:
            return []
        steps = [first]
        if first.tag is not None and first.verb != TagStep.RENAME and first.tries == 0:
            same = free.filter(verb=first.verb, tries=0, tag__group=first.tag.group_id)
            steps = list(same.order_by("id")[:AT_ONCE])
        TagStep.objects.filter(pk__in=[step.pk for step in steps]).update(
            state=TagStep.ASKING, asked_at=now, tries=F("tries") + 1
        )
    return steps


@dataclass(frozen=True)
class _Outcome:
    state: str
    code: int = 0
    pause: timedelta | None = None


def _ask(client: Client, app: App, steps: list[TagStep]) -> None:
    try:
        _call(client, app, steps)
    except RateLimited as problem:
        outcome = _Outcome(TagStep.WAITING, pause=timedelta(seconds=problem.wait_s))
    except NotSent:
        outcome = _Outcome(TagStep.WAITING, pause=_pause(steps))
    except Unanswered:
        outcome = _Outcome(TagStep.UNKNOWN, pause=_pause(steps))
    except WeComError as problem:
        outcome = _judged(app.corp, problem, steps)
    else:
        return
    TagStep.objects.filter(pk__in=[step.pk for step in steps]).update(
        state=outcome.state, code=outcome.code, again_at=clock.now() + outcome.pause if outcome.pause else None
    )


def _judged(corp: Corp, problem: WeComError, steps: list[TagStep]) -> _Outcome:
    """What a code means for these steps, and for those that wait: a full corp or a missing permission is no use to be
    asked about tag by tag."""
    if problem.action in {Action.WAIT, Action.REFRESH}:
        return _Outcome(TagStep.WAITING, pause=_pause(steps))
    if problem.code == FULL and len(steps) == 1:
        _refuse_waiting(corp, problem.code, verb=TagStep.MAKE)
    elif problem.action is Action.CONFIGURATION and problem.code != FULL:
        _refuse_waiting(corp, problem.code)
        return _Outcome(TagStep.REFUSED, problem.code, _LONGEST)
    elif len(steps) > 1:
        return _Outcome(TagStep.WAITING)  # one by one, so that the others pass
    elif problem.code == UNKNOWN_TAG and steps[0].verb != TagStep.MAKE:
        return _Outcome(TagStep.UNKNOWN, pause=_pause(steps))  # it is no more: the catalogue says so
    return _Outcome(TagStep.REFUSED, problem.code)


def _refuse_waiting(corp: Corp, code: int, **which: str) -> None:
    waiting = TagStep.objects.filter(corp=corp, state=TagStep.WAITING, **which)
    again_at = None if code == FULL else clock.now() + _LONGEST
    waiting.update(state=TagStep.REFUSED, code=code, again_at=again_at)


def _pause(steps: list[TagStep]) -> timedelta:
    tries = min(max(step.tries for step in steps), 10)
    return min(timedelta(seconds=_PAUSE_S * 2**tries), _LONGEST)


def _call(client: Client, app: App, steps: list[TagStep]) -> None:
    """One call, and what it changed. Raises like `Client.call`."""
    first = steps[0]
    if first.verb == TagStep.MAKE:
        _make(client, app, steps)
    elif first.verb == TagStep.DELETE:
        rows = CorpTag.objects.filter(corp=app.corp, ours__in=[step.tag_id for step in steps], deleted_at=None)
        ids = list(rows.filter(made_here=True).values_list("tag_id", flat=True))
        if ids:
            client.call(DELETE_TAGS, DeleteTags(tag_id=ids, agentid=app.agentid))
        with transaction.atomic():
            CorpTag.objects.filter(corp=app.corp, tag_id__in=ids).update(deleted_at=clock.now())
            _done(steps)
    else:
        _rename(client, app, first)


def _rename(client: Client, app: App, step: TagStep) -> None:
    groups = CorpTagGroup.objects.filter(corp=app.corp, ours=step.group_id or 0).order_by("id")
    tags = CorpTag.objects.filter(corp=app.corp, ours=step.tag_id or 0, deleted_at=None).order_by("id")
    group, tag = groups.first(), tags.first()
    some_id = group.group_id if group else tag.tag_id if tag else ""
    if some_id:
        client.call(EDIT_TAG, EditTag(id=some_id, name=step.name, agentid=app.agentid))
    with transaction.atomic():
        CorpTagGroup.objects.filter(corp=app.corp, group_id=some_id).update(name=step.name)
        CorpTag.objects.filter(corp=app.corp, tag_id=some_id).update(name=step.name)
        _done([step])


def _make(client: Client, app: App, steps: list[TagStep]) -> None:
    """Tags of one group. A group that others made is filled by its name: WeCom puts them into it."""
    group = TagGroup.objects.get(pk=steps[0].tag.group_id)  # type: ignore[union-attr]
    link = CorpTagGroup.objects.filter(corp=app.corp, ours=group).order_by("id").first()
    place = (
        {"group_id": link.group_id} if link and link.made_here else {"group_name": link.name if link else group.name}
    )
    request = AddTags(tag=[NewTag(name=step.name) for step in steps], agentid=app.agentid, **place)
    answer = client.call(ADD_TAGS, request)
    if answer.tag_group is None:
        raise Unanswered(f"{ADD_TAGS.path} told no group")
    with transaction.atomic():
        corp_tags.take_over(app.corp, [answer.tag_group], everything=False)
        if link is None:
            CorpTagGroup.objects.filter(corp=app.corp, group_id=answer.tag_group.group_id).update(made_here=True)
        made = _note_made(app.corp, steps)
        _done([step for step in steps if step.tag_id in made])
        other = [step.pk for step in steps if step.tag_id not in made]
        TagStep.objects.filter(pk__in=other).update(state=TagStep.REFUSED, code=0)


def _note_made(corp: Corp, steps: list[TagStep]) -> set[int]:
    """Those of the tags that WeCom has now: our app made them, and whoever wears them is to be marked."""
    rows = CorpTag.objects.filter(corp=corp, ours__in=[step.tag_id for step in steps], deleted_at=None)
    rows.update(made_here=True, queue_anew=True)
    return {number for number in rows.values_list("ours_id", flat=True) if number is not None}


def _done(steps: list[TagStep]) -> None:
    TagStep.objects.filter(pk__in=[step.pk for step in steps]).delete()


def _look_through() -> None:
    """Of tags whose marks go out since lately, queue the pairs that lack them; of those whose marks come in since
    lately, forget what was seen, so that the next sync tells it. Transactions of some ten thousand pairs."""
    for corp in Corp.objects.all():
        queue, read = _asked(corp, "queue_anew"), _asked(corp, "read_anew")
        if not queue and not read:
            continue
        for first, last in tagging.ranges(corp):
            with transaction.atomic(), connection.cursor() as cursor:
                if queue:
                    tagging.queue_tags(corp, list(queue), first, last)
                if read:
                    cursor.execute(_READ_ANEW, {"corp": corp.pk, "tags": list(read), "first": first, "last": last})
        _seen("queue_anew", queue)
        _seen("read_anew", read)


def _asked(corp: Corp, flag: str) -> dict[int, str]:
    """Tags of the corp with a flag, and the version of their rows."""
    with connection.cursor() as cursor:
        cursor.execute(f"select id, xmin::text from wecom_corptag where corp_id = %s and {flag}", [corp.pk])
        return dict(cursor.fetchall())


def _seen(flag: str, tags: dict[int, str]) -> None:
    """Take a flag back from rows that nobody has written since: who set it again meanwhile means pairs that were passed
    by then. The other flag's own taking back is such a writing, too, and costs one more look."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"update wecom_corptag c set {flag} = false from unnest(%s::bigint[], %s::text[]) as w(id, version)"
            " where c.id = w.id and c.xmin::text = w.version",
            [list(tags), list(tags.values())],
        )


# A tag that was deleted in WeCom is made again only where it goes out alone; both ways, that deletion stands.
_TAGS_DIFFER = """
select t.id, t.name,
  case when c.id is null then 'make' when t.archived_at is null then 'rename' else 'delete' end as verb
from customers_tag t
join wecom_tagdirection d on d.group_id = t.group_id and d.direction in ('out', 'both')
left join lateral (select c.* from wecom_corptag c
  where c.corp_id = %(corp)s and c.ours_id = t.id and c.deleted_at is null order by c.id limit 1) c on true
where case when c.id is null then t.archived_at is null and (d.direction = 'out' or not exists
             (select 1 from wecom_corptag g where g.corp_id = %(corp)s and g.ours_id = t.id))
           when t.archived_at is null then t.name <> left(c.name, 30)
           else c.made_here end
"""
_GROUPS_DIFFER = """
select g.id, g.name from customers_taggroup g
join wecom_tagdirection d on d.group_id = g.id and d.direction in ('out', 'both')
join lateral (select c.name from wecom_corptaggroup c
  where c.corp_id = %(corp)s and c.ours_id = g.id order by c.id limit 1) c on g.name <> left(c.name, 30)
"""
_FORGET_TAGS = f"""
delete from wecom_tagstep s where s.corp_id = %(corp)s and s.tag_id is not null and s.state in ('waiting', 'refused')
  and not exists (select 1 from ({_TAGS_DIFFER}) w where w.id = s.tag_id and w.verb = s.verb)
"""
_FORGET_GROUPS = f"""
delete from wecom_tagstep s where s.corp_id = %(corp)s and s.group_id is not null and s.state in ('waiting', 'refused')
  and not exists (select 1 from ({_GROUPS_DIFFER}) w where w.id = s.group_id)
"""
_AGAIN = """
do update set verb = excluded.verb, name = excluded.name, state = 'waiting', code = 0, tries = 0, again_at = null
where s.state in ('waiting', 'refused') and (s.verb, s.name) is distinct from (excluded.verb, excluded.name)
"""
_STEP_TAGS = f"""
insert into wecom_tagstep as s (corp_id, tag_id, verb, name, state, code, tries)
select %(corp)s, w.id, w.verb, w.name, 'waiting', 0, 0 from ({_TAGS_DIFFER}) w order by w.id
on conflict (corp_id, tag_id) {_AGAIN}
"""
_STEP_GROUPS = f"""
insert into wecom_tagstep as s (corp_id, group_id, verb, name, state, code, tries)
select %(corp)s, w.id, 'rename', w.name, 'waiting', 0, 0 from ({_GROUPS_DIFFER}) w order by w.id
on conflict (corp_id, group_id) {_AGAIN}
"""
# Where we know nothing of her and the tag: a word of ours on it stands, and WeCom is put right by it.
_READ_ANEW = """
update wecom_pair p set digest = '', tags = array(select t from unnest(p.tags) as t where t <> all(w.ids) order by t)
from (select p.id, array_agg(c.tag_id) as ids from wecom_pair p
      join wecom_corptag c on c.id = any(%(tags)s) and c.tag_id = any(p.tags)
      join customers_identity i on i.kind = 'external_userid' and i.key = p.external_userid
      where p.corp_id = %(corp)s and p.id >= %(first)s and p.id < %(last)s and not exists
        (select 1 from customers_customertag ct where ct.customer_id = i.customer_id and ct.tag_id = c.ours_id)
      group by p.id) w
where w.id = p.id
"""

loop = Loop("wecom.tag_catalogue", run_once)
