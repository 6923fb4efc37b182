"""What the privacy room keeps: seals of the audit log, reveals, the register of exports, erasures, texts of consent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from hetang.platform.ids import public_id
from hetang.platform.models import JobRun, OrgNode, StoredFile, User


class AuditSeal(models.Model):
    """A closed range of the audit log: `leaves` are (id, hash) of each row, `mac` signs them and the seal before."""

    number = models.BigIntegerField(primary_key=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    rows = models.IntegerField()
    leaves = models.BinaryField()
    mac = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()


class AuditRelease(models.Model):
    """Audit rows that the retention schedule removed, with a signature; `ids` is a 64-bit roaring bitmap."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    partition = models.CharField(max_length=80)
    rows = models.BigIntegerField()
    ids = models.BinaryField()
    mac = models.CharField(max_length=64)


class Erasure(models.Model):
    """One person to be erased, or erased. While it runs, `sealed` says who she was; after that only keyed hashes do.

    `hashes` are [kind, erasure key]; `report` has what each holding found and left; `certificate` is the signed proof.
    """

    WAITING, RUNNING, DONE, CANCELLED = "waiting", "running", "done", "cancelled"
    STATES: ClassVar = [(state, state) for state in (WAITING, RUNNING, DONE, CANCELLED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    state = models.CharField(max_length=10, choices=STATES, default=WAITING)
    customer = models.BigIntegerField()  # her number; what is left of her record is a tombstone with it
    customer_id_shown = models.UUIDField()  # the opaque id by which the audit log names her
    objects_to_return = models.BooleanField(default=False)
    reason = models.CharField(max_length=20)
    asked_at = models.DateTimeField()
    ordered_at = models.DateTimeField()
    ordered_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    replays = models.UUIDField(null=True)  # the entry of the list that a restore made necessary again
    began_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    hashes = models.JSONField(default=list)
    sealed = models.BinaryField(null=True)
    report = models.JSONField(default=dict)
    waits_for = models.JSONField(default=list)  # codes of holdings whose store was away
    certificate = models.JSONField(default=dict)
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer"], name="one_erasure_at_a_time", condition=models.Q(state__in=["waiting", "running"])
            )
        ]


class Rules(models.Model):
    """One row: the limits that the brand set for itself."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    reveals_a_day = models.IntegerField(default=20)  # per person
    export_days = models.IntegerField(default=7)  # until a file is deleted
    answer_days = models.IntegerField(default=15)  # until a customer's request must be answered
    link_hours = models.IntegerField(default=72)  # how long a customer's link to her page holds
    officer = models.CharField(max_length=80, blank=True, default="")  # who answers for personal data
    contact = models.CharField(max_length=120, blank=True, default="")  # shown to customers


class RevealCount(models.Model):
    """How many values somebody has seen in full on a day: raised by one statement, never beyond the limit."""

    pk = models.CompositePrimaryKey("user_id", "day")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    day = models.DateField()
    count = models.IntegerField()


class Reveal(models.Model):
    """Somebody saw one value of one customer in full, and why."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=80)
    customer = models.BigIntegerField(db_index=True)
    customer_id_shown = models.UUIDField()
    what = models.CharField(max_length=80)  # phone, email, name, ... or attribute:CODE
    reason = models.CharField(max_length=20)
    text = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-at", "-id"], name="reveal_newest")]


class Export(models.Model):
    """A file that somebody takes out of the house, or asked to: an entry of the register, which outlives the file.

    `id` is the register's number. `parameters` say what exactly, `lines` the same for people, in the language of who
    asked. `most_rows` is what may be written without asking again. `people` are the customers in the file (roaring).
    """

    WAITING, MAKING, READY = "waiting", "making", "ready"
    GONE, FAILED, WITHDRAWN = "gone", "failed", "withdrawn"
    STATES: ClassVar = [(state, state) for state in (WAITING, MAKING, READY, GONE, FAILED, WITHDRAWN)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=120)
    personal = models.BooleanField()
    purpose = models.CharField(max_length=20)
    note = models.CharField(max_length=200, blank=True, default="")
    parameters = models.JSONField(default=dict)
    lines = models.JSONField(default=list)
    language = models.CharField(max_length=12)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=80)
    org_node = models.ForeignKey(OrgNode, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    size = models.BigIntegerField()  # rows when it was asked for
    most_rows = models.BigIntegerField(null=True)
    state = models.CharField(max_length=10, choices=STATES)
    why = models.CharField(max_length=40, blank=True, default="")  # why it is gone or failed: a code
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")
    file = models.ForeignKey(StoredFile, models.SET_NULL, null=True, related_name="+")
    rows = models.BigIntegerField(null=True)
    bytes = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    people = models.BinaryField(null=True)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    downloads = models.IntegerField(default=0)
    downloaded_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="export_of_user"),
            models.Index(
                fields=["expires_at"], name="export_open", condition=models.Q(state__in=["waiting", "making", "ready"])
            ),
        ]

    @property
    def number(self) -> str:
        """The register's number as people write it."""
        return f"E-{self.pk:06d}"


class KeepingTime(models.Model):
    """For how many days the brand keeps a kind of data, where it differs from what is shipped."""

    code = models.CharField(max_length=40, primary_key=True)
    days = models.IntegerField()
    changed_at = models.DateTimeField()


class KeepingRun(models.Model):
    """One run of the schedule: of a night (`day`, the brand's), or by hand."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField(null=True, unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")


class Removal(models.Model):
    """What a run removed of one kind: everything older than `before`. `removed` counts what is committed."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(KeepingRun, models.CASCADE, related_name="removals")
    code = models.CharField(max_length=40)
    before = models.DateTimeField()
    removed = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "code"], name="removal_once")]
        indexes: ClassVar = [models.Index(fields=["code", "-id"], name="removal_of_code")]


class KeyRotation(models.Model):
    """New keys for what identifies people. `alive` is true for the one that is under way, else null.

    `lookup_from` and `lookup_to` are fingerprints of the lookup keys, `sealing_to` is the id of the new sealing key.
    `steps` holds for each step its place and count: {"place": ..., "done": n, "finished": true}.
    """

    id = models.BigAutoField(primary_key=True)
    alive = models.BooleanField(null=True, unique=True)
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)
    lookup_from = models.CharField(max_length=16)
    lookup_to = models.CharField(max_length=16, blank=True, default="")
    sealing_to = models.CharField(max_length=20)
    steps = models.JSONField(default=dict)
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")


class ConsentCount(models.Model):
    """How many people's newest word on a purpose and channel was so on a day, by where the word came from."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    purpose = models.CharField(max_length=20)
    channel = models.CharField(max_length=40)
    basis = models.CharField(max_length=20)
    source = models.CharField(max_length=60)
    text_version = models.CharField(max_length=60)
    given = models.BooleanField()
    people = models.BigIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["day", "purpose", "channel", "basis", "source", "text_version", "given"],
                name="consent_count_once",
            )
        ]


class ConsentText(models.Model):
    """A text to which customers agree, in both languages. Never changed: a new wording is a new version."""

    version = models.CharField(max_length=60, primary_key=True)
    purpose = models.CharField(max_length=20)
    zh_hans = models.TextField()
    en = models.TextField()
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")


class BasisStatement(models.Model):
    """On which legal basis the consents of a source rest that came without one, as somebody of the brand stated it for
    all that were given until `started_at`. A job writes a fact for each; `cursor` is the last customer dealt with."""

    RUNNING, DONE = "running", "done"
    STATES: ClassVar = [(RUNNING, RUNNING), (DONE, DONE)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    source = models.CharField(max_length=60)
    purpose = models.CharField(max_length=20)
    channel = models.CharField(max_length=40)
    basis = models.CharField(max_length=20)
    text_version = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=500)
    people = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=STATES, default=RUNNING)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=0)
    stated = models.BigIntegerField(default=0)
    left_out = models.BigIntegerField(default=0)  # without any identity by now, or refused
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "purpose", "channel"],
                name="basis_stated_once_at_a_time",
                condition=models.Q(state="running"),
            )
        ]


class PrivacyLink(models.Model):
    """A link by which one customer reaches her own privacy page, without a log-in. Times are wall-clock times.

    `misses` counts wrong answers to the question who she is; the link ends at the limit.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    customer = models.BigIntegerField(db_index=True)
    customer_id_shown = models.UUIDField()
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)
    misses = models.SmallIntegerField(default=0)
    opened = models.IntegerField(default=0)
    opened_at = models.DateTimeField(null=True)


class PageUse(models.Model):
    """How often something was done in an hour (since the epoch): raised by one statement, never beyond its limit."""

    pk = models.CompositePrimaryKey("key", "hour")
    key = models.CharField(max_length=64)
    hour = models.BigIntegerField()
    count = models.IntegerField()


class PrivacyRequest(models.Model):
    """What a customer asks for that a person must do: set something right, erase her, or anything else.

    `text` is sealed. `answer` is what she reads on her page.
    """

    CORRECT, ERASE, OTHER = "correct", "erase", "other"
    OPEN, DONE, REFUSED = "open", "done", "refused"
    STATES: ClassVar = [(state, state) for state in (OPEN, DONE, REFUSED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    customer = models.BigIntegerField()
    customer_id_shown = models.UUIDField()
    kind = models.CharField(max_length=10)
    objects_to_return = models.BooleanField(default=False)
    text = models.BinaryField(null=True)
    came_by = models.CharField(max_length=10)  # page, staff
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField()
    noted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=STATES, default=OPEN)
    answer = models.CharField(max_length=300, blank=True, default="")
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    erasure = models.ForeignKey(Erasure, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer", "kind"], name="privacy_request_open_once", condition=models.Q(state="open")
            )
        ]
        indexes: ClassVar = [models.Index(fields=["state", "due_at"], name="privacy_request_due")]
