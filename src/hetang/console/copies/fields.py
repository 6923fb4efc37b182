"""What the fields of a customer's copy are called and how they are read: one declaration for the page and the schema.

The parts are those of the holdings (`Holding.tell`), by their code. A table is one kind of record in a part; `head` are
the fields that name a record. A test compares all of it with what the rooms tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.console.campaigns.words import STATES as TOUCH_STATES
from hetang.console.customers import words
from hetang.console.customers.bulk import KINDS as BULK_KINDS
from hetang.console.privacy.words import KINDS as REQUESTS
from hetang.console.privacy.words import STATES as REQUEST_STATES
from hetang.privacy.exports import PURPOSES as EXPORT_PURPOSES

Text = str | Promise
Words = Mapping[str, Text]

TEXT, NUMBER, MONEY, MOMENT, YES, WORD = "text", "number", "money", "moment", "yes", "word"
STORE, STAFF, PRODUCT, TAG = "store", "staff", "product", "tag"  # a code of ours, told by its name
PURPOSE, CHANNEL, RELATION = "purpose", "channel", "relation"  # words of the timeline
ANY = "any"


@dataclass(frozen=True)
class Field:
    """One field: its name in the JSON, what it is called for her, and how its value is read. `words` are those of a
    WORD."""

    name: str
    label: Text
    kind: str = TEXT
    words: Words | None = None


@dataclass(frozen=True)
class Table:
    """Records at a `path` of a part ("" is the part itself, one record or a list of them)."""

    path: str
    title: Text
    fields: tuple[Field, ...]
    head: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """The field of that name; None if it is not declared."""
        return next((one for one in self.fields if one.name == name), None)


_STATES_OF_TOUCHES: Words = {
    **{code: label for code, (label, _tone) in TOUCH_STATES.items()},
    "failed": pgettext_lazy("message", "Not sent"),
    "cancelled": pgettext_lazy("message", "Cancelled"),
    "expired": pgettext_lazy("message", "Not sent (expired)"),
}
_STATES_OF_REQUESTS: Words = {code: label for code, (label, _tone) in REQUEST_STATES.items()}
_OCCURRED = Field("occurred_at", pgettext_lazy("copy", "Said on"), MOMENT)
_SOURCE = Field("source", _("Source"))

# What the parts are called for her; the holdings' own labels speak of her to the staff.
PARTS: Words = {
    "customers": pgettext_lazy("copy", "Who you are to us: profile, tags, friends, consents"),
    "bulk_changes": pgettext_lazy("copy", "Changes to many customers at once, of which you were one"),
    "facts": pgettext_lazy("copy", "Every record about you"),
    "commerce": _("Orders, refunds and what they add up to"),
    "touches": pgettext_lazy("copy", "Messages to you"),
    "exports": pgettext_lazy("copy", "Files in which you are"),
    "own_page": pgettext_lazy("copy", "What you asked for"),
    "groups": pgettext_lazy("copy", "Group chats you were in"),
}
TABLES: dict[str, tuple[Table, ...]] = {
    "groups": (
        Table(
            "",
            pgettext_lazy("copy", "Group chats"),
            (
                Field("group", pgettext_lazy("copy", "Group chat")),
                Field("joined_at", pgettext_lazy("copy", "Joined"), MOMENT),
                Field("left_at", pgettext_lazy("copy", "Left"), MOMENT),
            ),
            head=("group",),
        ),
    ),
    "customers": (
        Table(
            "",
            pgettext_lazy("copy", "Profile"),
            (
                Field("name", _("Name")),
                Field("known_since", _("Known since"), MOMENT),
                Field("home_store", _("Home store")),
                Field("served_by", pgettext_lazy("copy", "Served by")),
            ),
        ),
        Table(
            "identities",
            pgettext_lazy("copy", "Numbers and addresses"),
            (
                Field("kind", pgettext_lazy("copy", "Kind"), WORD, words.IDENTITIES),
                Field("value", pgettext_lazy("copy", "Value")),
                Field("first_seen_at", _("Known since"), MOMENT),
            ),
            head=("kind",),
        ),
        Table(
            "attributes",
            pgettext_lazy("copy", "Attributes"),
            (
                Field("code", pgettext_lazy("copy", "Attribute")),
                Field("value", pgettext_lazy("copy", "Value"), ANY),
                _OCCURRED,
            ),
            head=("code",),
        ),
        Table(
            "tags",
            _("Tags"),
            (
                Field("tag__name", _("Tag")),
                Field("on", pgettext_lazy("copy", "Put on"), YES),
                _OCCURRED,
                _SOURCE,
                Field("expires_at", pgettext_lazy("copy", "Holds until"), MOMENT),
            ),
            head=("tag__name",),
        ),
        Table(
            "friends_in_wecom",
            _("Friends in WeCom"),
            (
                Field("staff__name", pgettext_lazy("copy", "Friend")),
                Field("state", pgettext_lazy("copy", "State"), RELATION),
                Field("since", pgettext_lazy("copy", "Since"), MOMENT),
                Field("add_way", pgettext_lazy("copy", "How it began (number of WeCom)"), NUMBER),
            ),
            head=("staff__name",),
        ),
        Table(
            "consents",
            _("Consents"),
            (
                Field("purpose", _("Purpose"), PURPOSE),
                Field("channel", _("Channel"), CHANNEL),
                Field("given", _("Given"), YES),
                Field("counts", _("Counts"), YES),
                Field("basis", _("Legal basis"), WORD, words.BASES),
                Field("stated", pgettext_lazy("copy", "Legal basis stated afterwards"), YES),
                Field("text_version", _("Version of the text")),
                _OCCURRED,
                _SOURCE,
            ),
            head=("purpose", "channel"),
        ),
        Table(
            "household",
            pgettext_lazy("copy", "Household"),
            (
                Field("kind", pgettext_lazy("copy", "Kind"), WORD, words.MEMBER_KINDS),
                Field("name", _("Name")),
                Field("born_on", pgettext_lazy("copy", "Born on")),
                Field("due_on", pgettext_lazy("copy", "Due on")),
                Field("sex", pgettext_lazy("copy", "Sex"), WORD, words.SEXES),
                _OCCURRED,
            ),
            head=("kind", "name"),
        ),
        Table(
            "do_not_disturb",
            _("Do not disturb"),
            (
                Field("on", pgettext_lazy("copy", "Turned on"), YES),
                Field("until", pgettext_lazy("copy", "Holds until"), MOMENT),
                _OCCURRED,
                _SOURCE,
            ),
        ),
    ),
    "bulk_changes": (
        Table(
            "",
            pgettext_lazy("copy", "Changes"),
            (
                Field("kind", pgettext_lazy("copy", "Kind"), WORD, BULK_KINDS),
                Field("tag", _("Tag")),
                Field("at", pgettext_lazy("copy", "Time"), MOMENT),
            ),
            head=("kind",),
        ),
    ),
    "facts": (
        Table(
            "",
            pgettext_lazy("copy", "What happened"),
            (
                Field("occurred_at", pgettext_lazy("copy", "Time"), MOMENT),
                Field("received_at", pgettext_lazy("copy", "Received"), MOMENT),
                Field("kind", pgettext_lazy("copy", "Kind")),
                _SOURCE,
                Field("key", pgettext_lazy("copy", "Number in its source")),
                Field("body", pgettext_lazy("copy", "Details"), ANY),
            ),
        ),
    ),
    "commerce": (
        Table(
            "orders",
            _("Orders"),
            (
                Field("key", pgettext_lazy("copy", "Order number")),
                Field("placed_at", pgettext_lazy("copy", "Time"), MOMENT),
                Field("store__name", _("Store")),
                Field("channel", _("Channel"), CHANNEL),
                Field("net", pgettext_lazy("copy", "Paid"), MONEY),
                Field("discount", pgettext_lazy("copy", "Discount"), MONEY),
                Field("lines", pgettext_lazy("copy", "Items"), NUMBER),
                _SOURCE,
            ),
            head=("placed_at", "store__name"),
        ),
        Table(
            "refunds",
            pgettext_lazy("copy", "Refunds"),
            (
                Field("key", pgettext_lazy("copy", "Refund number")),
                Field("order_key", pgettext_lazy("copy", "Order number")),
                Field("refunded_at", pgettext_lazy("copy", "Time"), MOMENT),
                Field("amount", pgettext_lazy("copy", "Given back"), MONEY),
                Field("channel", _("Channel"), CHANNEL),
                _SOURCE,
            ),
            head=("refunded_at",),
        ),
        Table(
            "sums",
            pgettext_lazy("copy", "What it adds up to"),
            (
                Field("first_order_at", _("First order"), MOMENT),
                Field("last_order_at", _("Last order"), MOMENT),
                Field("orders", _("Orders"), NUMBER),
                Field("gmv", _("Net sales"), MONEY),
                Field("refunded", pgettext_lazy("copy", "Given back"), MONEY),
                Field("visits", pgettext_lazy("copy", "Visits"), NUMBER),
                Field("last_visit_at", pgettext_lazy("copy", "Last visit"), MOMENT),
            ),
        ),
    ),
    "touches": (
        Table(
            "",
            pgettext_lazy("copy", "Messages"),
            (
                Field("broadcast", _("Broadcast")),
                Field("planned_at", _("Planned for"), MOMENT),
                Field("sent_at", pgettext_lazy("copy", "Sent"), MOMENT),
                Field("channel", _("Channel"), CHANNEL),
                Field("message_class", pgettext_lazy("copy", "Kind"), PURPOSE),
                Field("state", pgettext_lazy("copy", "State"), WORD, _STATES_OF_TOUCHES),
            ),
            head=("broadcast",),
        ),
    ),
    "exports": (
        Table(
            "",
            pgettext_lazy("copy", "Files"),
            (
                Field("title", pgettext_lazy("copy", "File")),
                Field("asked_at", pgettext_lazy("copy", "Made on"), MOMENT),
                Field("purpose", _("Purpose"), WORD, EXPORT_PURPOSES),
                Field("deleted_at", pgettext_lazy("copy", "Will be deleted on"), MOMENT),
            ),
            head=("title",),
        ),
    ),
    "own_page": (
        Table(
            "",
            pgettext_lazy("copy", "What was asked for"),
            (
                Field("kind", pgettext_lazy("copy", "Kind"), WORD, REQUESTS),
                Field("asked_at", pgettext_lazy("copy", "Asked on"), MOMENT),
                Field("text", pgettext_lazy("copy", "In your words")),
                Field(
                    "state",
                    pgettext_lazy("copy", "State"),
                    WORD,
                    _STATES_OF_REQUESTS,
                ),
                Field("answer", pgettext_lazy("copy", "Our answer")),
            ),
            head=("kind",),
        ),
    ),
}

# Fields of the bodies of facts, of all kinds: one name means the same in each.
BODY: dict[str, Field] = {
    one.name: one
    for one in (
        Field("lines", pgettext_lazy("copy", "Items"), ANY),
        Field("net", pgettext_lazy("copy", "Paid"), MONEY),
        Field("discount", pgettext_lazy("copy", "Discount"), MONEY),
        Field("amount", pgettext_lazy("copy", "Amount"), MONEY),
        Field("sku", pgettext_lazy("copy", "Product"), PRODUCT),
        Field("quantity", pgettext_lazy("copy", "Quantity")),
        Field("category", pgettext_lazy("copy", "Category")),
        Field("order", pgettext_lazy("copy", "Order number")),
        Field("store", _("Store"), STORE),
        Field("home_store", _("Home store"), STORE),
        Field("owner", pgettext_lazy("copy", "Served by"), STAFF),
        Field("staff", pgettext_lazy("copy", "Member of staff"), STAFF),
        Field("channel", _("Channel"), CHANNEL),
        Field("simulated", pgettext_lazy("copy", "Simulated"), YES),
        Field("attributes", pgettext_lazy("copy", "Attributes"), ANY),
        Field("places", pgettext_lazy("copy", "Positions"), ANY),
        Field("purpose", _("Purpose"), PURPOSE),
        Field("given", _("Given"), YES),
        Field("given_at", pgettext_lazy("copy", "Consent of"), MOMENT),
        Field("basis", _("Legal basis"), WORD, words.BASES),
        Field("text_version", _("Version of the text")),
        Field("on", pgettext_lazy("copy", "Turned on"), YES),
        Field("until", pgettext_lazy("copy", "Holds until"), MOMENT),
        Field("state", pgettext_lazy("copy", "State"), RELATION),
        Field("since", pgettext_lazy("copy", "Since"), MOMENT),
        Field("add_way", pgettext_lazy("copy", "How it began (number of WeCom)"), NUMBER),
        Field("channel_state", pgettext_lazy("copy", "Mark of the way she came")),
        Field("tag", _("Tag"), TAG),
        Field("expires_at", pgettext_lazy("copy", "Holds until"), MOMENT),
        Field("link", pgettext_lazy("copy", "Link")),
        Field("direct", pgettext_lazy("copy", "Opened without our short link"), YES),
        Field("title", pgettext_lazy("copy", "Message")),
        Field("message_class", pgettext_lazy("copy", "Kind"), PURPOSE),
        Field("programme", pgettext_lazy("copy", "Broadcast number"), NUMBER),
        Field("task", pgettext_lazy("copy", "Task number"), NUMBER),
        Field("by", pgettext_lazy("copy", "By whom")),
        Field("reason", pgettext_lazy("copy", "Reason")),
        Field("left", pgettext_lazy("copy", "Identities on the first side"), NUMBER),
        Field("decision", pgettext_lazy("copy", "Decision")),
        Field("verdict", pgettext_lazy("copy", "Verdict")),
        Field("member", pgettext_lazy("copy", "Number of the household member")),
        Field("origin", pgettext_lazy("copy", "Source of the household member")),
        Field("kind", pgettext_lazy("copy", "Household member"), WORD, words.MEMBER_KINDS),
        Field("born_on", pgettext_lazy("copy", "Born on")),
        Field("due_on", pgettext_lazy("copy", "Due on")),
        Field("sex", pgettext_lazy("copy", "Sex"), WORD, words.SEXES),
    )
}
