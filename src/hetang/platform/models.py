"""Tables that every room stands on: clock, brand, organisation, users and grants, audit, keys, jobs, files, leases."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

from hetang.platform.ids import public_id


class Clock(models.Model):
    """One row: how far the installation's clock is turned ahead of the wall clock."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    offset = models.DurationField()


class Brand(models.Model):
    """One row: what the brand calls itself and counts in."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    name = models.CharField(max_length=80)
    currency = models.CharField(max_length=3, default="CNY")
    currency_digits = models.SmallIntegerField(default=2)
    time_zone = models.CharField(max_length=64, default="Asia/Shanghai")
    country = models.CharField(max_length=2, default="CN", blank=True)  # whose holidays; "": none (platform.almanac)
    accent = models.CharField(max_length=7, default="#2f7d6b")
    staff_title = models.CharField(max_length=20, default="", blank=True)
    demo = models.BooleanField(default=False)
    demo_shift_days = models.IntegerField(default=0)


class OrgNode(models.Model):
    """A place in the organisation. `path` holds the ids from the root, `1.4.17.`: a scope is one prefix test."""

    BRAND, REGION, STORE, DEPARTMENT = "brand", "region", "store", "department"
    KINDS: ClassVar = [(BRAND, "brand"), (REGION, "region"), (STORE, "store"), (DEPARTMENT, "department")]

    id = models.BigAutoField(primary_key=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    kind = models.CharField(max_length=12, choices=KINDS)
    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    path = models.CharField(max_length=400, unique=True)
    # The company to which the node and everything below belong where it is not the brand's own: a franchisee.
    legal_entity = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["legal_entity"], condition=~models.Q(legal_entity=""), name="orgnode_other_entity")
        ]


class UserManager(BaseUserManager["User"]):
    def create_user(self, username: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """Somebody who works in the console. What she may do is the sum of her grants, nothing else."""

    id = models.BigAutoField(primary_key=True)
    username = models.CharField(max_length=80, unique=True)
    display_name = models.CharField(max_length=80, blank=True, default="")
    language = models.CharField(max_length=12, default="zh-hans")
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)  # somebody else chose it
    # Why a connected system switched her off, which it may take back; empty where a person did or she is on.
    locked_for = models.CharField(max_length=20, blank=True, default="", db_default="")
    signed_on_at = models.DateTimeField(null=True)  # when she last signed on by another system than this one
    created_at = models.DateTimeField()

    USERNAME_FIELD = "username"
    objects = UserManager()


class OwnRole(models.Model):
    """A role that the brand made itself: a named set of permissions. Shipped roles are in `platform.roles`."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=40, unique=True)
    description = models.CharField(max_length=200, blank=True, default="")
    permissions = models.JSONField(default=list)
    version = models.IntegerField(default=1)  # counts changes; who edits an older one is told
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)


class Grant(models.Model):
    """A role at a node of the organisation: it holds for the node and everything below, until `expires_at`.

    `role` is the code of a shipped role or of an `OwnRole`.
    """

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="grants")
    role = models.CharField(max_length=40)
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    expires_at = models.DateTimeField(null=True)
    by_rule = models.BooleanField(default=False, db_default=False)  # comes and goes with what the rule is about
    granted_at = models.DateTimeField(null=True)
    granted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "role", "org_node"], name="grant_once"),
        ]


class LoginRules(models.Model):
    """One row: how people log in here. Times by the wall clock: they are about browsers, not about customers."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    idle_minutes = models.IntegerField(default=120)
    absolute_hours = models.IntegerField(default=12)
    password_length = models.SmallIntegerField(default=10)
    two_factor_roles = models.JSONField(default=list)  # codes of roles that need the second factor
    trust_days = models.SmallIntegerField(default=14)  # how long a device is remembered; 0: never


class Session(models.Model):
    """Somebody's browser, or a stranger's who is about to log in. The cookie's value is kept as a hash only."""

    id = models.BigAutoField(primary_key=True)
    key_hash = models.CharField(max_length=64, unique=True)
    data = models.TextField()
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="sessions")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["seen_at"], name="session_seen")]


class TwoFactor(models.Model):
    """A user's authenticator app. `secret` is sealed; `last_step` is the last time step used: no code works twice."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="two_factor")
    secret = models.BinaryField()
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0)


class RecoveryCode(models.Model):
    """A code that stands in for the app once. Only its hash is kept."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_once")]


class TrustedDevice(models.Model):
    """A browser that need not show the second factor again until `expires_at`. Only its cookie's hash is kept."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="trusted_devices")
    token_hash = models.CharField(max_length=64, unique=True)
    agent = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class ApiKey(models.Model):
    """A machine's key. Only its hash is kept; `prefix` lets people recognise it."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)
    revoked_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)  # by the wall clock
    last_used_at = models.DateTimeField(null=True)
    requests_a_minute = models.IntegerField(default=600)
    facts_a_minute = models.IntegerField(default=60_000)


class ApiKeyUse(models.Model):
    """What a key used in a minute of the wall clock (`minute` since 1970) and in the one before. See `rate_limits`."""

    key = models.OneToOneField(ApiKey, models.CASCADE, primary_key=True, related_name="use")
    minute = models.BigIntegerField(default=0)
    requests = models.IntegerField(default=0)
    requests_before = models.IntegerField(default=0)
    facts = models.IntegerField(default=0)
    facts_before = models.IntegerField(default=0)


class ApprovalRule(models.Model):
    """From which size on people with a role need somebody else's approval. `role` empty: everybody else.

    `over` null: never. Without a row the shipped default holds (`platform.approvals`).
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=40)
    role = models.CharField(max_length=40, blank=True, default="")
    over = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["kind", "role"], name="approval_rule_once")]


class Approval(models.Model):
    """Four eyes: one person asks for exactly this, another decides. `content_hash` names what was asked for."""

    OPEN, APPROVED, REFUSED = "open", "approved", "refused"
    WITHDRAWN, VOID, EXPIRED, USED = "withdrawn", "void", "expired", "used"
    STATES: ClassVar = [
        (state, state) for state in (OPEN, APPROVED, REFUSED, WITHDRAWN, VOID, EXPIRED, USED)
    ]  # void: what was asked for has changed

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    kind = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    title = models.CharField(max_length=120)
    org_node = models.ForeignKey(OrgNode, models.PROTECT)
    content_hash = models.CharField(max_length=64)
    content = models.JSONField()  # what the decider reads; the hash is over this
    size = models.BigIntegerField()
    rule = models.JSONField(default=dict)  # {"role", "over"} that demanded it
    note = models.CharField(max_length=300, blank=True, default="")
    asked_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField()
    involved = models.JSONField(default=list)  # ids of users who made it and so may not decide
    state = models.CharField(max_length=10, choices=STATES, default=OPEN)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=300, blank=True, default="")
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state", "expires_at"], name="approval_state")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "target_id"],
                condition=models.Q(state__in=("open", "approved")),
                name="approval_alive_once",
            )
        ]


class AuditEntry(models.Model):
    """Who did what to which object. Data, not prose: `changes` is JSON with personal fields masked."""

    pk = models.CompositePrimaryKey("at", "id")
    id = models.BigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    org_node_id = models.BigIntegerField(null=True)
    changes = models.JSONField(default=dict)
    request_id = models.CharField(max_length=36, blank=True, default="")
    address = models.GenericIPAddressField(null=True)

    class Meta:
        managed = False  # partitioned by month: see the first migration
        db_table = "platform_auditentry"


class JobRun(models.Model):
    """A piece of work that one can watch and cancel. The queue only starts it; the truth of its state is here."""

    WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
    STATES: ClassVar = [(state, state) for state in (WAITING, RUNNING, DONE, FAILED, CANCELLED)]

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=12, choices=STATES, default=WAITING)
    stage = models.CharField(max_length=80, blank=True, default="")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    cancel_requested = models.BooleanField(default=False)
    arguments = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    beat_at = models.DateTimeField(null=True)
    owner = models.CharField(max_length=80, blank=True, default="")
    attempts = models.IntegerField(default=0)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["state", "beat_at"], name="jobrun_state_beat")]


class StoredFile(models.Model):
    """A file below the home, sealed at rest."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=300)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)


class Lease(models.Model):
    """The right to run a loop (dispatcher, a subscription, ...): one holder at a time, until `expires_at`."""

    name = models.CharField(max_length=80, primary_key=True)
    holder = models.CharField(max_length=80)
    expires_at = models.DateTimeField()
