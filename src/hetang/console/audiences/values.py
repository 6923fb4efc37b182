"""What a condition may name, searched on the server: a brand has thousands of products and advisers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from operator import and_

from django.db.models import Case, IntegerField, Q, Value, When
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import history_is_away
from hetang.audiences.first_source_sentences import ORDER_CHANNELS
from hetang.audiences.first_source_sets import joining_codes
from hetang.audiences.rules import Catalogue
from hetang.audiences.sentences import TAG_SOURCE_NAMES
from hetang.campaigns.queries import visible_broadcasts, visible_campaigns
from hetang.commerce.history import order_words
from hetang.communities.models import GroupChat
from hetang.communities.queries import visible as groups_of
from hetang.console.audiences import adding
from hetang.console.audiences.fields import code_label, named, product_label, sources, within
from hetang.console.figures import number
from hetang.customers import tag_words
from hetang.customers.friendships import channel_states
from hetang.platform.access import Actor, actor_of, needs
from hetang.resources.models import Product

SHOWN = 50
MAX_WORDS = 6
Option = tuple[str, str]


@require_GET
@needs("audiences:view")
def values(request: HttpRequest, source: str) -> JsonResponse:
    """`{"values": [[value, label], ...], "more": bool}`: the best fifty matches of `q`, every word of it somewhere in
    name, code or (products) category."""
    words = request.GET.get("q", "").lower().split()[:MAX_WORDS]
    known = catalogue()
    if source == "products":
        found = _products(words, known)
    elif source == "groups":
        found = _groups(words, actor_of(request))
    elif source == "channel_states":
        found = _codes(channel_states, words, known)
    elif source in {"campaigns", "broadcasts"}:
        found = _messages(source, words, actor_of(request))
    elif source == "joining_codes":
        found = _codes(joining_codes, words, known)
    elif source in {"order_channels", "order_sources"}:
        found = _matching(_of_orders(source.removeprefix("order_").removesuffix("s")), words)
    elif source == "tag_sources":
        found = _tag_sources(words)
    elif source == "conditions":
        found = adding.matching(within(known, actor_of(request)), words)
    elif source in (offered := sources(within(known, actor_of(request)))):
        found = _matching(offered[source], words)
    else:
        raise Http404(source)
    return JsonResponse({"values": found[:SHOWN], "more": len(found) > SHOWN})


def _codes(seen: Callable[[list[str], int], list[str]], words: list[str], known: Catalogue) -> list[Option]:
    """Codes whose name holds every word, then those that people came by whose state does."""
    by_name = [(state, code_label(state, known)) for state, one in known.codes.items() if one.name]
    named_so = _matching(by_name, words)
    others = [state for state in seen(words, SHOWN + 1) if state not in dict(named_so)]
    return [*named_so, *((state, code_label(state, known)) for state in others)]


def _matching(options: Iterable[Option], words: list[str]) -> list[Option]:
    """Options that hold every word; those that begin with the first one come first."""
    found = [(v, label) for v, label in options if all(word in f"{label} {v}".lower() for word in words)]
    if words:
        found.sort(key=lambda option: not option[1].lower().startswith(words[0]))
    return found


def _products(words: list[str], known: Catalogue) -> list[Option]:
    """An exact number comes first, then names that begin with the first word, names that hold it, and what only its
    category tells. One scan of the products."""
    rows = Product.objects.filter(reduce(and_, (_holds(word, known) for word in words), Q()))
    first = words[0] if words else ""
    place = Case(
        When(sku__iexact=first, then=Value(0)),
        When(name__istartswith=first, then=Value(1)),
        When(name__icontains=first, then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    rows = rows.order_by(*([place] if words else []), "name", "sku")
    found = rows.values_list("sku", "name", "category")[: SHOWN + 1]
    return [(sku, product_label(sku, name, _category(code, known))) for sku, name, code in found]


def _groups(words: list[str], actor: Actor) -> list[Option]:
    """Group chats that she may see and whose name, owner or store holds every word, the largest first."""
    rows = groups_of(actor.scope("audiences:view")).filter(dissolved_at=None)
    for word in words:
        rows = rows.filter(Q(name__icontains=word) | Q(owner__name__icontains=word) | Q(store__name__icontains=word))
    return [(str(one.public_id), _group_label(one)) for one in rows.order_by("-size", "-id")[: SHOWN + 1]]


def _group_label(group: GroupChat) -> str:
    """Groups often share a name: store or owner, and how many are in it, tell them apart."""
    where = group.store.name if group.store else group.owner.name if group.owner else ""
    said = [group.name or _("Without a name"), where, _("%(n)s people") % {"n": number(group.size)}]
    return " · ".join(part for part in said if part)


def _messages(source: str, words: list[str], actor: Actor) -> list[Option]:
    """Campaigns, or broadcasts that were sent, that she may see and whose name (a broadcast's: or campaign's) holds
    every word; the newest first."""
    if not actor.can("campaigns:view"):
        return []
    scope = actor.scope("campaigns:view")
    if source == "campaigns":
        campaigns = visible_campaigns(scope)
        for word in words:
            campaigns = campaigns.filter(name__icontains=word)
        return [(str(one.public_id), one.name) for one in campaigns.order_by("-id")[: SHOWN + 1]]
    sent = visible_broadcasts(scope).exclude(programme=None)
    for word in words:
        sent = sent.filter(Q(name__icontains=word) | Q(campaign__name__icontains=word))
    return [(str(one.public_id), f"{one.name} · {one.campaign.name}") for one in sent.order_by("-id")[: SHOWN + 1]]


def _of_orders(column: str) -> Iterator[Option]:
    """The channels or the source systems of orders; those with names of their own where the history is away."""
    names = {code: named(pair) for code, pair in ORDER_CHANNELS.items()} if column == "channel" else {}
    try:
        found = order_words(column)
    except Exception as problem:
        if not history_is_away(problem):
            raise
        found = sorted(names)
    return ((code, names.get(code, code)) for code in found)


def _tag_sources(words: list[str]) -> list[Option]:
    """Those with names of their own first, then the other sources that put on tags, called by themselves."""
    own = {code: named(names) for code, names in TAG_SOURCE_NAMES.items()}
    others = [source for source in tag_words.sources(words, SHOWN + 1) if source not in own]
    return [*_matching(own.items(), words), *((source, source) for source in others)]


def _holds(word: str, known: Catalogue) -> Q:
    named_so = [code for code, labels in known.categories.items() if any(word in label.lower() for label in labels)]
    return Q(name__icontains=word) | Q(sku__istartswith=word) | Q(category__in=named_so)


def _category(code: str, known: Catalogue) -> str:
    return named(known.categories[code]) if code in known.categories else code
