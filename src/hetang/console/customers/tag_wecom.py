"""A group of tags and WeCom: which way it goes, and how each of its tags stands there."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from hetang.connectors.wecom import tag_directions as directions
from hetang.connectors.wecom import tagging
from hetang.connectors.wecom.models import TagDirection
from hetang.connectors.wecom.tag_directions import Standing, State
from hetang.console.customers.words import DIRECTIONS
from hetang.customers.models import Tag, TagGroup
from hetang.platform.access import actor_of, needs

Text = str | Promise

CONSEQUENCES: dict[str, Text] = {
    TagDirection.INWARD: gettext_lazy(
        "Names and new tags follow WeCom, and what colleagues mark there comes here. What is put on here stays here."
    ),
    TagDirection.OUTWARD: gettext_lazy(
        "Tags of this group are made, renamed and deleted in WeCom as they are here, and customers are marked there."
        " What colleagues mark or rename there does not come here."
    ),
    TagDirection.BOTH: gettext_lazy(
        "Tags made here are made in WeCom, too; names and marks go both ways. If both sides renamed a tag, WeCom's name"
        " counts; what was deleted there is not made again by itself."
    ),
    TagDirection.NEITHER: gettext_lazy(
        "Neither names nor marks go either way. What is in WeCom stays there as it is; colleagues go on seeing it."
    ),
}
WORDS: dict[str, tuple[Text, str]] = {
    directions.IN_STEP: (gettext_lazy("in step with WeCom"), "good"),
    directions.WAITING: (gettext_lazy("waits for WeCom"), "info"),
    directions.UNKNOWN: (gettext_lazy("WeCom gave no answer: it is looked up"), "warn"),
    directions.REFUSED: (gettext_lazy("refused by WeCom"), "bad"),
    directions.DELETED: (gettext_lazy("deleted in WeCom"), "warn"),
    directions.ABSENT: (gettext_lazy("not in WeCom"), ""),
}
_OF_OTHERS = gettext_lazy(
    "Another app or WeCom's console made it, and only that may change it. Rename it in WeCom's console, or give it the"
    " name here that it has there."
)
REMEDIES: dict[int, Text] = {
    0: gettext_lazy(
        "WeCom took it under another name. Look at the tags in WeCom's console and give it that name here."
    ),
    40071: gettext_lazy("The group has a tag of this name in WeCom already. Give one of the two another name."),
    40072: gettext_lazy("The name is too long for WeCom: at most 30 characters. Shorten it."),
    40126: gettext_lazy(
        "WeCom's corp has as many tags as it may have (3,000, in some corps 10,000). Delete unused ones in WeCom's"
        " console, or let a group that staff do not need go “Not with WeCom”; then try again."
    ),
    81011: _OF_OTHERS,
    301002: _OF_OTHERS,
    48002: gettext_lazy(
        "The app may not change tags. In WeCom's console, under Customer contact → API, let it call the interfaces;"
        " then try again."
    ),
}


@dataclass(frozen=True)
class Said:
    """A state in words."""

    word: Text
    tone: str
    remedy: Text = ""


def said(state: State) -> Said:
    """What a state says, and for a refusal why and what to do."""
    word, tone = WORDS[state.word]
    if state.word == directions.DELETED:
        return Said(word, tone, _("It stays here. Archive it, or have it made there again."))
    if state.word != directions.REFUSED:
        return Said(word, tone)
    other = _("WeCom answered with code %(code)s. Check the connection under Settings → WeCom, then try again.")
    return Said(word, tone, REMEDIES.get(state.code) or other % {"code": state.code})


def badge_of(standing: Standing | None) -> tuple[Text, Said] | None:
    """What the list of tags says of a group: its direction and its worst state."""
    if standing is None:
        return None
    return DIRECTIONS[standing.direction], said(standing.worst)


@require_http_methods(["GET", "POST"])
@needs("audiences:edit", whole_brand=True)
def tag_wecom(request: HttpRequest, group_id: int) -> HttpResponse:
    """The ways it may go with what each means, and the state of each tag; a POST chooses."""
    group = get_object_or_404(TagGroup, pk=group_id)
    if request.method == "POST":
        return _choose(request, group)
    standing = directions.standings([group]).get(group.pk)
    tags = Tag.objects.filter(group=group, archived_at=None).order_by("position", "id")
    states = [(tag, said(standing.tags[tag.pk])) for tag in tags if tag.pk in standing.tags] if standing else []
    quiet = {directions.IN_STEP, directions.ABSENT}
    words = {standing.name.word, *(state.word for state in standing.tags.values())} if standing else set()
    values = {
        "group": group,
        "standing": standing,
        "name": said(standing.name) if standing and standing.name.word not in quiet else None,
        "states": states,
        "choices": [
            (code, DIRECTIONS[code], CONSEQUENCES[code], _figures(code, standing)) for code in TagDirection.ALL
        ],
        "again": bool(words & {directions.REFUSED, directions.DELETED}),
        "marks": tagging.waiting() if standing else 0,
        "may_connect": actor_of(request).scope("settings:edit").everything,
    }
    return render(request, "console/customers/tag_wecom.html", values)


def _figures(code: str, standing: Standing | None) -> str:
    if standing is None or code not in TagDirection.GOES_OUT or code == standing.direction or not standing.lacking:
        return ""
    return ngettext(
        "%(n)s tag would be made in WeCom, which has %(there)s in all.",
        "%(n)s tags would be made in WeCom, which has %(there)s in all.",
        standing.lacking,
    ) % {"n": standing.lacking, "there": standing.there}


def _choose(request: HttpRequest, group: TagGroup) -> HttpResponse:
    direction = request.POST.get("direction", "")
    if direction not in TagDirection.ALL:
        messages.error(request, _("Choose one of the ways."))
    elif directions.choose(actor_of(request), group, direction):
        text = _("“%(name)s” now goes: %(way)s. To take it back, choose the other way again.")
        messages.success(request, text % {"name": group.name, "way": DIRECTIONS[direction]})
    return redirect("customers:tag-wecom", group.pk)


@require_POST
@needs("audiences:edit", whole_brand=True)
def tag_wecom_again(request: HttpRequest, group_id: int) -> HttpResponse:
    """Ask WeCom once more for what it refused, or what was deleted there."""
    group = get_object_or_404(TagGroup, pk=group_id)
    count = directions.try_again(actor_of(request), group)
    text = ngettext("WeCom is asked again for %(n)s tag.", "WeCom is asked again for %(n)s tags.", count)
    messages.success(request, text % {"n": count})
    return redirect("customers:tag-wecom", group.pk)
