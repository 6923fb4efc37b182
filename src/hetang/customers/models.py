"""Who the customers are. All of it is folded from facts by (occurred_at, key): any order of arrival ends the same.

Rows point at the dense customer number (UInt32 range), never at a fact's identity; a merge moves them to the survivor.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Coalesce

from hetang.customers.rules import CONTACT_LIMIT
from hetang.platform.ids import public_id
from hetang.platform.models import JobRun, OrgNode, User
from hetang.resources.models import Staff, Store


class NumberCounter(models.Model):
    """One row: the next customer number. Numbers are handed out after the anti-join and never reused."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    next_number = models.BigIntegerField(default=1)


class Customer(models.Model):
    """A person. After a merge the absorbed one stays as an alias that names its survivor.

    Name, home store and owner are the newest words on them: each has the time and the fact that said it.
    """

    number = models.BigIntegerField(primary_key=True)
    public_id = models.UUIDField(default=public_id, db_default=RandomUUID(), unique=True)
    created_at = models.DateTimeField()
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="absorbed", db_constraint=False, db_index=False
    )
    name = models.BinaryField(null=True)  # sealed
    name_at = models.DateTimeField(null=True)
    name_fact = models.CharField(max_length=262, null=True)
    # Keyed hash by which equal names meet; empty where the name says too little, null until `suspicions` worked it out.
    name_key = models.CharField(max_length=32, null=True)
    home_store = models.ForeignKey(Store, models.SET_NULL, null=True, db_constraint=False, db_index=False)
    home_store_at = models.DateTimeField(null=True)
    home_store_fact = models.CharField(max_length=262, null=True)
    owner = models.ForeignKey(Staff, models.SET_NULL, null=True, db_constraint=False, db_index=False)
    owner_at = models.DateTimeField(null=True)
    owner_fact = models.CharField(max_length=262, null=True)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["home_store", "number"], name="customer_store"),
            models.Index(fields=["owner", "number"], name="customer_owner"),
            models.Index(fields=["merged_into"], name="customer_merged", condition=models.Q(merged_into__isnull=False)),
        ]


class Identity(models.Model):
    """One way to recognise a person. `key` is the value itself, or its keyed hash where it is a direct identifier
    (phone, email), whose value is then in `sealed`. `evidence_number` is the number it was first given, which an
    un-merge needs; `first_seen_at` is the time of the fact that brought it.

    A `shared` one is no evidence: it ties too many others together, or somebody said so (`verdict`, the newest word).
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=120)
    sealed = models.BinaryField(null=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="identities", db_constraint=False)
    evidence_number = models.BigIntegerField()
    first_seen_at = models.DateTimeField()
    placeholder = models.BooleanField(default=False, db_default=False)
    shared = models.BooleanField(default=False, db_default=False)
    shared_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=8, default="", db_default="")  # rules.SHARED, rules.OWN
    verdict_at = models.DateTimeField(null=True)
    verdict_fact = models.CharField(max_length=262, default="", db_default="")
    former_key = models.CharField(max_length=120, null=True)  # while the lookup key is being rotated

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "key"], name="identity_once")]
        indexes: ClassVar = [
            models.Index(
                fields=["kind", "former_key"], name="identity_former", condition=models.Q(former_key__isnull=False)
            ),
            models.Index(fields=["shared_at", "id"], name="identity_shared", condition=models.Q(shared=True)),
        ]


class IdentityLink(models.Model):
    """Evidence that two identities (`low` < `high`, ids) are one person's: the earliest fact that names them together.

    `by_hand`: somebody decided that they are; then `occurred_at` may be empty. `void`: somebody decided that their
    people are not the same, so it is no evidence.
    """

    pk = models.CompositePrimaryKey("low", "high")
    low = models.BigIntegerField()
    high = models.BigIntegerField()
    occurred_at = models.DateTimeField(null=True)
    fact_key = models.CharField(max_length=262, default="", db_default="")
    by_hand = models.BooleanField(default=False, db_default=False)
    void = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["high"], name="identity_link_high")]


class Decision(models.Model):
    """What somebody decided about two people: that they are the same, or that they are not. In force until lifted.

    Folded from facts: `key` is that of the fact, and lifting may be known before the decision itself.
    """

    SAME, APART = "same", "apart"

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=262, unique=True)
    verdict = models.CharField(max_length=8, default="", db_default="")
    made_at = models.DateTimeField(null=True)
    made_by = models.CharField(max_length=80, default="", db_default="")
    reason = models.CharField(max_length=500, default="", db_default="")
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=80, default="", db_default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-made_at", "-id"], name="decision_newest")]


class DecisionSide(models.Model):
    """An identity that a decision speaks of, on its left (0) or right (1) side."""

    pk = models.CompositePrimaryKey("decision_id", "identity_id")
    decision = models.ForeignKey(Decision, models.CASCADE, related_name="sides", db_index=False)
    identity = models.ForeignKey(Identity, models.DO_NOTHING, db_constraint=False, related_name="+")
    side = models.SmallIntegerField()


class Merge(models.Model):
    """Provenance of a merge: which fact was the evidence, what was joined, and by which un-merge it ended."""

    id = models.BigAutoField(primary_key=True)
    survivor = models.BigIntegerField(db_index=True)
    absorbed = models.BigIntegerField()
    at = models.DateTimeField()
    evidence_source = models.CharField(max_length=60)
    evidence_key = models.CharField(max_length=200)
    evidence = models.JSONField()  # [[kind, key], [kind, key]]
    survivor_side = ArrayField(models.BigIntegerField(), default=list)  # ids of the identities of both at that time
    absorbed_side = ArrayField(models.BigIntegerField(), default=list)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["absorbed"], name="merge_once", condition=models.Q(undone_at__isnull=True))
        ]
        indexes: ClassVar = [
            models.Index(fields=["absorbed"], name="merge_absorbed"),
            models.Index(fields=["at"], name="merge_at"),
        ]


class Unmerge(models.Model):
    """People who were divided: `people` are all numbers whose identities changed, `restored` the numbers that are
    people again, `cause` the decision's key or the shared identity's id."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    survivor = models.BigIntegerField(db_index=True)
    people = ArrayField(models.BigIntegerField())
    restored = ArrayField(models.BigIntegerField())
    cause = models.CharField(max_length=280)


class Proposal(models.Model):
    """Two customers whom weak evidence (`grounds`, see `customers.grounds`) or a colleague believes to be one person; a
    reviewer decides. `weight` orders the queue; put off, a pair comes back after `later_until`."""

    OPEN, DECIDED, WITHDRAWN = "open", "decided", "withdrawn"
    STATES: ClassVar = [(state, state) for state in (OPEN, DECIDED, WITHDRAWN)]

    id = models.BigAutoField(primary_key=True)
    one = models.ForeignKey(Customer, models.PROTECT, related_name="+", db_constraint=False)
    other = models.ForeignKey(Customer, models.PROTECT, related_name="+", db_constraint=False)
    grounds = ArrayField(models.CharField(max_length=20), default=list)
    weight = models.SmallIntegerField(default=0)
    reason = models.CharField(max_length=500, default="")
    proposed_at = models.DateTimeField()
    proposed_by = models.CharField(max_length=80, default="")  # empty: found by the grounds
    state = models.CharField(max_length=10, choices=STATES, default=OPEN)
    later_until = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=8, default="")  # Decision.SAME, Decision.APART
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=80, default="")
    rounds = models.SmallIntegerField(default=0)  # how often it was decided: each decision is a fact of its own

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["one", "other"], name="proposal_open_once", condition=models.Q(state="open")
            ),
            models.CheckConstraint(condition=models.Q(one__lt=models.F("other")), name="proposal_ordered"),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "-weight", "-id"], name="proposal_state_weight")]


class EvidencePolicy(models.Model):
    """One row: how many identities of one kind a phone number or e-mail address may tie together, and for which weak
    grounds somebody shall look (null: the usual ones)."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    contact_limit = models.SmallIntegerField(default=CONTACT_LIMIT)
    grounds = ArrayField(models.CharField(max_length=20), null=True)


class AttributeDefinition(models.Model):
    """A typed attribute of a customer that rules may use."""

    TYPES: ClassVar = [(kind, kind) for kind in ("text", "number", "date", "boolean", "choice", "place")]

    code = models.CharField(max_length=60, primary_key=True)
    type = models.CharField(max_length=10, choices=TYPES)
    label_zh = models.CharField(max_length=80)
    label_en = models.CharField(max_length=80)
    choices = models.JSONField(default=list)
    sensitive = models.BooleanField(default=False)  # shown only after a reasoned look
    birth_date = models.BooleanField(default=False)  # the customer's own: see `customers.minors`


class CustomerAttribute(models.Model):
    """The newest value of one attribute, with the fact that set it."""

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    code = models.CharField(max_length=60)
    value = models.JSONField(null=True)
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)  # "source\x1fkey": breaks ties of occurred_at

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["customer", "code"], name="attribute_once")]
        indexes: ClassVar = [models.Index(fields=["code", "customer"], name="attribute_by_code")]


class TagGroup(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=30, unique=True)
    position = models.IntegerField(default=0)
    exclusive = models.BooleanField(default=False)
    owner = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")  # who answers for what its tags mean


class Tag(models.Model):
    """`code` is what facts and rules name; the name may change."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=64, unique=True)
    group = models.ForeignKey(TagGroup, models.PROTECT, related_name="tags")
    name = models.CharField(max_length=30)
    position = models.IntegerField(default=0)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["group", "name"], name="tag_name_in_group")]


class CustomerTag(models.Model):
    """The newest word on one tag of one customer: on or off, since when, by which source. History is in the facts."""

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    tag = models.ForeignKey(Tag, models.PROTECT, db_constraint=False, db_index=False)
    on = models.BooleanField()
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)
    expires_at = models.DateTimeField(null=True)
    source = models.CharField(max_length=60)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["customer", "tag"], name="customer_tag_once")]
        indexes: ClassVar = [models.Index(fields=["tag", "customer"], name="tag_members", condition=models.Q(on=True))]


class KeptTag(models.Model):
    """Who wears a tag that a rule keeps: roaring bytes as they were at the stamp `base`, with the changes after it the
    fold of its set facts. See `kept`."""

    tag = models.OneToOneField(Tag, models.PROTECT, primary_key=True, related_name="kept")
    sequence = models.IntegerField(default=0)  # of its newest facts
    stamp = models.BigIntegerField(default=0)  # goes up with everything that is written, erasures too
    base = models.BigIntegerField(default=0, db_default=0)
    members = models.BinaryField()
    count = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(null=True)


class KeptChange(models.Model):
    """What one stamp of a kept tag is beyond the stamp before: roaring bytes. Some that are in the set already stay for
    who follows."""

    id = models.BigAutoField(primary_key=True)
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="+", db_index=False)
    stamp = models.BigIntegerField()
    put_on = models.BinaryField()
    taken_off = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tag", "stamp"], name="kept_change_once")]


class KeptChunk(models.Model):
    """The same within SQL's reach: a bit for each of 8,192 customers, the lowest number in the lowest bit."""

    id = models.BigAutoField(primary_key=True)
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="+")
    chunk = models.IntegerField()  # number >> 13
    bits = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tag", "chunk"], name="kept_chunk_once")]
        indexes: ClassVar = [models.Index(fields=["chunk"], name="kept_by_chunk")]


class Relation(models.Model):
    """A WeCom friendship between a customer and a member of staff (企微好友关系).

    One row per friendship of a WeChat account: a person with two accounts may have two with the same member of staff.
    `begun_*` is the first beginning that anybody told of, however often it was lost since; the rest is the newest word,
    which of a loss says neither when nor how it had begun.
    """

    ACTIVE, HALF, LOST_BY_CUSTOMER, LOST_BY_STAFF = "active", "half", "lost_by_customer", "lost_by_staff"
    STATES: ClassVar = [(state, state) for state in (ACTIVE, HALF, LOST_BY_CUSTOMER, LOST_BY_STAFF)]

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(
        Customer, models.PROTECT, related_name="relations", db_constraint=False, db_index=False
    )
    staff = models.ForeignKey(Staff, models.PROTECT, related_name="relations", db_constraint=False, db_index=False)
    external_userid = models.CharField(max_length=120)
    state = models.CharField(max_length=20, choices=STATES)
    since = models.DateTimeField()
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)
    add_way = models.IntegerField(default=0)
    channel_state = models.CharField(max_length=64, blank=True, default="")
    simulated = models.BooleanField(default=False)
    begun_at = models.DateTimeField(null=True)
    begun_way = models.IntegerField(default=0, db_default=0)
    begun_state = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["staff", "external_userid"], name="relation_once")]
        indexes: ClassVar = [
            models.Index(fields=["staff", "state"], name="relation_of_staff"),
            models.Index(fields=["customer", "state"], name="relation_of_customer"),
            models.Index(
                fields=["occurred_at"],
                name="relation_lost",
                condition=models.Q(state__in=["lost_by_customer", "lost_by_staff"]),
            ),
        ]


class ChannelCode(models.Model):
    """A live code or link by which people come (渠道码), by the state that WeCom tells of it: what it is called, and
    the campaign (public id) that it is for. A state without a row has neither."""

    state = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=60, blank=True, default="")
    campaign = models.UUIDField(null=True)
    updated_at = models.DateTimeField()


# A consent to these counts only once its legal basis is known (PIPL art. 13): whoever cannot say on which basis
# somebody is written to may not write to her.
NEEDS_BASIS = ("marketing", "guardian")
UNKNOWN_BASIS = "unknown"
_COUNTS = models.Q(given=True) & (~models.Q(purpose__in=NEEDS_BASIS) | ~models.Q(basis=UNKNOWN_BASIS))


class Consent(models.Model):
    """The newest word on one purpose and channel, with the legal basis behind it.

    `counts` is what every decision asks: given, and on a known basis where the purpose needs one. `stated`: the basis
    did not come with her word, somebody of the brand said it afterwards (`ConsentBasis`).
    """

    BASES: ClassVar = [(b, b) for b in ("consent", "contract", "legal_duty", "public_interest", "unknown")]

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    purpose = models.CharField(max_length=20)  # marketing, service, transaction
    channel = models.CharField(max_length=40)  # wecom, sms, email, ...
    given = models.BooleanField()
    basis = models.CharField(max_length=20, choices=BASES)
    text_version = models.CharField(max_length=60, blank=True, default="")
    stated = models.BooleanField(default=False, db_default=False)
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)
    source = models.CharField(max_length=60)
    simulated = models.BooleanField(default=False)
    counts = models.GeneratedField(
        expression=_COUNTS,  # type: ignore[arg-type]  # the stubs know no Q here
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer", "purpose", "channel"], include=["given", "counts"], name="consent_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["channel", "purpose", "customer"], name="consent_given", condition=models.Q(given=True)
            ),
            models.Index(
                fields=["customer"],
                name="consent_objected",
                condition=models.Q(purpose="personalisation", given=False),
            ),
            models.Index(
                fields=["source", "purpose", "channel", "customer"],
                name="consent_without_basis",
                condition=models.Q(given=True, counts=False),
            ),
        ]


class ConsentBasis(models.Model):
    """The newest word of the brand on which legal basis a consent rests that came without one. `given_at` says which:
    another one, earlier or later, is not meant. May be known before the consent itself (un-merge, any order)."""

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    purpose = models.CharField(max_length=20)
    channel = models.CharField(max_length=40)
    given_at = models.DateTimeField()
    basis = models.CharField(max_length=20)
    text_version = models.CharField(max_length=60, blank=True, default="")
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["customer", "purpose", "channel", "given_at"], name="consent_basis_once")
        ]


class DoNotDisturb(models.Model):
    """The newest word on being left alone: for ever (`until` empty), or until a time; `on` false lifts it."""

    customer = models.OneToOneField(Customer, models.PROTECT, primary_key=True, db_constraint=False)
    on = models.BooleanField()
    until = models.DateTimeField(null=True)
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)
    source = models.CharField(max_length=60)


class BulkChange(models.Model):
    """One change to many customers (批量操作): whom it concerns is fixed when it is looked at, then a job writes facts.

    `members` and `untouched` are roaring sets of customer numbers: those it is for, and those up to `cursor` of whom no
    fact was written, because nothing would change or they may not be changed any more. The facts carry `started_at`, so
    that a newer word on one customer stands above them however late a chunk is written.
    """

    TAG_ON, TAG_OFF, DISTURB = "tag_on", "tag_off", "do_not_disturb"
    PREVIEW, RUNNING, DONE, UNDOING, UNDONE = "preview", "running", "done", "undoing", "undone"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    kind = models.CharField(max_length=20)
    tag = models.ForeignKey(Tag, models.PROTECT, null=True, related_name="+")
    until = models.DateTimeField(null=True)  # of do-not-disturb; null: for ever
    filters = models.JSONField(default=dict)  # how the list was filtered: never an identifier of a person
    org_node = models.ForeignKey(OrgNode, models.PROTECT, related_name="+")
    members = models.BinaryField()
    people = models.BigIntegerField()
    state = models.CharField(max_length=10, default=PREVIEW)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=80)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=-1)
    untouched = models.BinaryField(default=bytes)
    changed = models.BigIntegerField(default=0)
    already = models.BigIntegerField(default=0)  # nothing would change for them
    left_out = models.BigIntegerField(default=0)  # merged, erased, out of reach or without any identity meanwhile
    undo_cursor = models.BigIntegerField(default=-1)
    undone = models.BigIntegerField(default=0)
    kept = models.BigIntegerField(default=0)  # not undone: somebody has said something newer
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")


class BulkBefore(models.Model):
    """What held before a bulk change of those for whom it replaced something: the tag that was on (of an exclusive
    group it may be another one) or do-not-disturb, and until when. Everybody else had nothing."""

    id = models.BigAutoField(primary_key=True)
    change = models.ForeignKey(BulkChange, models.CASCADE, related_name="before")
    tag = models.CharField(max_length=64, blank=True)  # its code
    until = models.DateTimeField(null=True)
    members = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["change", "tag", "until"], name="bulk_before_once", nulls_distinct=False)
        ]


class HouseholdMember(models.Model):
    """The newest word on somebody of a customer's household: a child, partner, parent, pet.

    `member` is the member's code at the source `origin`. `day` is what life stages count from: the birth, and before
    it is known the day on which it is due. After `removed` nothing else is left of the member.
    """

    CHILD, PARTNER, PARENT, PET, OTHER = "child", "partner", "parent", "pet", "other"
    KINDS: ClassVar = (CHILD, PARTNER, PARENT, PET, OTHER)

    id = models.BigAutoField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT, db_constraint=False, db_index=False)
    origin = models.CharField(max_length=60)
    member = models.CharField(max_length=64)
    kind = models.CharField(max_length=10)
    name = models.BinaryField(null=True)  # sealed
    born_on = models.DateField(null=True)
    due_on = models.DateField(null=True)
    sex = models.CharField(max_length=10, default="", db_default="")  # female, male or not known
    removed = models.BooleanField(default=False, db_default=False)
    occurred_at = models.DateTimeField()
    fact_key = models.CharField(max_length=262)
    day = models.GeneratedField(
        expression=Coalesce("born_on", "due_on"), output_field=models.DateField(), db_persist=True
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["customer", "origin", "member"], name="household_member_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["day", "customer"], name="household_day", condition=models.Q(day__isnull=False))
        ]


class LifeStageModel(models.Model):
    """A brand's own course of life stages (`stages.Course`) and what it counts from: the date attribute `attribute`,
    and the days of household members of `member_kind` (`any`: of every kind); at least one of them.

    `caught_up_to` is the last day of whose changes the facts are written.
    """

    ANY = "any"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=40)
    attribute = models.CharField(max_length=60, blank=True, default="")
    member_kind = models.CharField(max_length=10, blank=True, default="")
    stages = models.JSONField()  # [{"code", "name", "number", "unit"}]
    ends = models.JSONField(null=True)  # {"number", "unit"}
    version = models.IntegerField(default=1)
    caught_up_to = models.DateField()
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name"], condition=models.Q(archived_at=None), name="life_stages_name_once")
        ]
