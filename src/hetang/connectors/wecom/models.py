"""Corps and apps we are connected to, their tokens, and the callbacks that wait to be applied. Secrets are sealed."""

from __future__ import annotations

import os
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from hetang.audiences.models import Audience
from hetang.communities.models import GroupChat
from hetang.customers.models import Tag, TagGroup
from hetang.platform.ids import public_id
from hetang.platform.models import JobRun, OrgNode, StoredFile
from hetang.resources.models import Staff, Store

OFFICIAL_URL = "https://qyapi.weixin.qq.com"


class Corp(models.Model):
    """A WeCom corp. One is the default: its first app sends. `simulated` ones are labelled where a person sees them."""

    id = models.BigAutoField(primary_key=True)
    corpid = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    base_url = models.CharField(max_length=200, default=OFFICIAL_URL)
    is_default = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    calls_per_minute = models.IntegerField(default=1000)  # per API; the platform allows 10,000
    calls_per_hour = models.IntegerField(default=140_000, db_default=140_000)  # per API; the platform allows 150,000
    concurrency = models.IntegerField(default=5)  # calls of one API in flight, all processes together
    # How many customers a member may have: 5,000 at first, 20,000 after an extension (reference 25, not official).
    customers_per_member = models.IntegerField(default=20_000, db_default=20_000)
    created_at = models.DateTimeField()

    @property
    def address(self) -> str:
        """Base URL of the API. A simulated corp follows the simulator, whose port may change with each start."""
        told = os.environ.get("HETANG_SIMULATOR_URL", "") if self.simulated else ""
        return (told or self.base_url).rstrip("/")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], name="wecom_one_default", condition=models.Q(is_default=True)
            )
        ]


class App(models.Model):
    """A self-built app of a corp. `public_id` names it in the callback's address."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    corp = models.ForeignKey(Corp, models.PROTECT, related_name="apps")
    agentid = models.BigIntegerField()
    name = models.CharField(max_length=80, blank=True, default="")
    secret = models.BinaryField()  # sealed
    callback_token = models.BinaryField(null=True)  # sealed
    callback_aes_key = models.BinaryField(null=True)  # sealed
    listen_only = models.BooleanField(default=False)  # gets callbacks, never calls
    sign_on = models.BooleanField(default=False, db_default=False)  # members log in to the console by it
    echoed_at = models.DateTimeField(null=True)  # when WeCom last proved the callback with these keys
    echo_problem = models.CharField(max_length=40, default="", db_default="")  # why its newest try was refused
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "agentid"], name="wecom_app_once")]


class CheckResult(models.Model):
    """What a check of the connection found last: see `doctor.checks`. `detail` holds what its words name."""

    id = models.BigAutoField(primary_key=True)
    app = models.ForeignKey(App, models.CASCADE, db_index=False)
    name = models.CharField(max_length=20)
    state = models.CharField(max_length=8)
    reason = models.CharField(max_length=24, default="")
    code = models.IntegerField(default=0)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["app", "name"], name="wecom_check_once")]


class VerificationFile(models.Model):
    """A file that shows WeCom that the domain is ours; anybody may read it at the root."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=80, unique=True)
    content = models.CharField(max_length=512)
    uploaded_at = models.DateTimeField()


class AccessToken(models.Model):
    """The one token of an app, shared by all processes: see `tokens`. `leased_until` (real time): somebody asks in the
    place of a process that hangs."""

    app = models.OneToOneField(App, models.CASCADE, primary_key=True)
    token = models.BinaryField(null=True)  # sealed
    expires_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)


class Pace(models.Model):
    """How fast an API of a corp is called, for all processes: see `pace`, which alone reads and writes it.

    `corp_id` 0 with the path `*` counts all calls of this address. Times are real ones.
    """

    id = models.BigAutoField(primary_key=True)
    corp_id = models.BigIntegerField()
    path = models.CharField(max_length=80)
    free_at = models.DateTimeField()
    hour = models.DateTimeField()
    used = models.IntegerField(default=0)
    held_until = models.DateTimeField(null=True)
    holds = models.SmallIntegerField(default=0)
    in_flight = models.SmallIntegerField(default=0)
    lowered_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp_id", "path"], name="wecom_pace_once")]


class Pair(models.Model):
    """What WeCom last said of a member and a customer: the mirror by which the sync tells what is new, and tags differ.

    `standing`: `listed` while WeCom lists them as friends; `half` is never listed; a customer who deleted the member
    stays listed, so only her event tells (`lost_by_customer`); `gone` is no longer listed. `run` is the sync that saw
    them last. `digest` changes when the name, the remark or anything else told of them does.
    """

    LISTED, HALF, LOST, GONE = "listed", "half", "lost_by_customer", "gone"

    id = models.BigAutoField(primary_key=True)
    # Not checked by the database: for a million friendships of one corp it would look the corp up a million times.
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False, db_constraint=False)
    userid = models.CharField(max_length=64)
    external_userid = models.CharField(max_length=64)
    standing = models.CharField(max_length=16, default=LISTED)
    friends_since = models.DateTimeField()
    digest = models.BinaryField(default=bytes)  # 8 bytes
    tags = ArrayField(models.CharField(max_length=64), default=list)  # ids of corp tags, sorted
    told_at = models.DateTimeField()  # when WeCom said what stands here, by the event's time or ours
    marked_at = models.DateTimeField(null=True)  # when we last changed its tags: older listings say nothing of them
    run = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corp", "userid", "external_userid"], name="wecom_pair_once")
        ]
        indexes: ClassVar = [models.Index(fields=["external_userid"], name="wecom_pair_customer")]


class TagDirection(models.Model):
    """Which way a group of ours goes between here and WeCom, where somebody chose it.

    `in`: names and marks come from WeCom. `out`: our tags are made, renamed and deleted there, and marks go out.
    `none`: neither. Where nobody chose, marks of tags that WeCom has go both ways, and nothing is made there.
    """

    INWARD, OUTWARD, BOTH, NEITHER = "in", "out", "both", "none"
    ALL: ClassVar = (INWARD, OUTWARD, BOTH, NEITHER)
    GOES_OUT: ClassVar = (OUTWARD, BOTH)
    COMES_IN: ClassVar = ("", INWARD, BOTH)  # also where nobody chose

    group = models.OneToOneField(TagGroup, models.CASCADE, primary_key=True, related_name="+")
    direction = models.CharField(max_length=4)
    chosen_at = models.DateTimeField()
    chosen_by = models.CharField(max_length=80, default="")


class CorpTagGroup(models.Model):
    """A group of tags that WeCom has, its name there, and the group of ours that it is. `made_here`: by our app."""

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    group_id = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    ours = models.ForeignKey(TagGroup, models.SET_NULL, null=True, related_name="+")
    made_here = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "group_id"], name="wecom_corp_tag_group_once")]


class CorpTag(models.Model):
    """A tag of the corp (企业标签), its name there, and the tag of ours that it is.

    `outgoing`: marks that are put on or taken off here go to WeCom as well; `incoming`: those of colleagues come here.
    `made_here`: by our app. `queue_anew` and `read_anew`: its marks are to be looked through in the one or other way.
    """

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    tag_id = models.CharField(max_length=64)
    group_id = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    position = models.BigIntegerField(default=0)
    ours = models.ForeignKey(Tag, models.SET_NULL, null=True, related_name="+")
    outgoing = models.BooleanField(default=True)
    incoming = models.BooleanField(default=True, db_default=True)
    made_here = models.BooleanField(default=False, db_default=False)
    queue_anew = models.BooleanField(default=False, db_default=False)
    read_anew = models.BooleanField(default=False, db_default=False)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "tag_id"], name="wecom_corp_tag_once")]


class TagStep(models.Model):
    """What WeCom's catalogue of tags lacks against ours: a tag to make, rename or delete, or a group to rename.

    `asking` is written before the call. `unknown`: no answer came, so it is looked up before anything is asked again.
    `name` is what it is to be called; `code` is why WeCom refused, 0 where it took it under another name.
    """

    MAKE, RENAME, DELETE = "make", "rename", "delete"
    WAITING, ASKING, UNKNOWN, REFUSED = "waiting", "asking", "unknown", "refused"

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    tag = models.ForeignKey(Tag, models.CASCADE, null=True, related_name="+")
    group = models.ForeignKey(TagGroup, models.CASCADE, null=True, related_name="+")
    verb = models.CharField(max_length=6)
    name = models.CharField(max_length=30)
    state = models.CharField(max_length=8, default=WAITING)
    code = models.IntegerField(default=0)
    tries = models.SmallIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)
    again_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corp", "tag"], name="wecom_tag_step_once"),
            models.UniqueConstraint(fields=["corp", "group"], name="wecom_tag_group_step_once"),
        ]


class TagWait(models.Model):
    """A pair whose tags may differ from ours, once however often its customer changed. `asked` counts that: who put it
    right takes it off only if it was not asked for again meanwhile."""

    id = models.BigAutoField(primary_key=True)
    pair = models.OneToOneField(Pair, models.CASCADE)
    asked = models.IntegerField(default=1)
    tries = models.SmallIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tries", "id"], name="wecom_tagwait_order")]


class SyncRun(models.Model):
    """One pass over everything WeCom lists. `begun_at` is when it began to ask: what it did not see was gone by then.

    A worker that dies leaves it `running`; the job that is started again goes on with it.
    """

    RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, related_name="runs")
    job_run_id = models.BigIntegerField(null=True)
    state = models.CharField(max_length=10, default=RUNNING)
    stage = models.CharField(max_length=20, default="staff")
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corp"], name="wecom_one_run", condition=models.Q(state="running"))
        ]


class SyncPart(models.Model):
    """A part of a sync that is asked for by itself: some members with their customers, or some groups.

    `cursor` is where it goes on; it moves in the transaction that keeps what came before it.
    """

    CUSTOMERS, GROUPS = "customers", "groups"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="parts")
    kind = models.CharField(max_length=10)
    ids = ArrayField(models.CharField(max_length=64))
    status = models.SmallIntegerField(default=0)  # of groups: what WeCom says of their owners
    cursor = models.TextField(default="")
    done = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["run", "kind"], name="wecom_part_open", condition=models.Q(done=False))
        ]


class Skipped(models.Model):
    """Something WeCom would not tell, with its reason: a member without the function, a group that is gone …"""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(SyncRun, models.CASCADE, related_name="skipped")
    kind = models.CharField(max_length=10)  # member, customer, group, tag
    name = models.CharField(max_length=130)  # the userid, chat id …
    reason = models.CharField(max_length=40)
    code = models.IntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "kind", "name"], name="wecom_skipped_once")]


class RefusedRecipient(models.Model):
    """Somebody whom WeCom did not take into a task (`fail_list`): its results never mention her."""

    id = models.BigAutoField(primary_key=True)
    msgid = models.CharField(max_length=80)
    external_userid = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["msgid", "external_userid"], name="wecom_refused_once")
        ]


class CallbackMessage(models.Model):
    """An event as it was decrypted, once per event however often it is delivered; applied by the callbacks loop.

    `event` and `change` are its Event and ChangeType. One that needs WeCom's answer waits until `again_at` (real time)
    when there is none; after some tries it is `failed`, and can be applied again by hand.
    """

    WAITING, APPLIED, IGNORED, FAILED = "waiting", "applied", "ignored", "failed"
    STATES: ClassVar = [(state, state) for state in (WAITING, APPLIED, IGNORED, FAILED)]

    id = models.BigAutoField(primary_key=True)
    app = models.ForeignKey(App, models.CASCADE)
    dedupe_key = models.CharField(max_length=64, unique=True)
    event = models.CharField(max_length=40, default="", db_default="")
    change = models.CharField(max_length=40, default="", db_default="")
    received_at = models.DateTimeField()
    body = models.BinaryField()  # sealed clear text
    state = models.CharField(max_length=10, choices=STATES, default=WAITING)
    applied_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0, db_default=0)
    again_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, default="", db_default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="wecom_callback_waiting", condition=models.Q(state="waiting")),
            models.Index(fields=["-id"], name="wecom_callback_failed", condition=models.Q(state="failed")),
        ]


class Department(models.Model):
    """A department of the corp, as WeCom names it. `decided`: a person said which store it is (`store`, or none);
    otherwise its name or number decides (`accounts.places`)."""

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    number = models.BigIntegerField()
    name = models.CharField(max_length=120)
    parent = models.BigIntegerField(default=0)
    gone_at = models.DateTimeField(null=True)
    store = models.ForeignKey(Store, models.SET_NULL, null=True, related_name="+")
    decided = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "number"], name="wecom_department_once")]


class Member(models.Model):
    """Where a member of the corp stands, as WeCom said last: `departments` in its order, `leads` those that he leads.

    `status`: 1 active, 2 disabled, 4 not activated, 5 left (reference section 3).
    """

    ACTIVE, DISABLED, NOT_ACTIVATED, LEFT = 1, 2, 4, 5

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    userid = models.CharField(max_length=64)
    departments = ArrayField(models.BigIntegerField(), default=list)
    leads = ArrayField(models.BigIntegerField(), default=list)
    main = models.BigIntegerField(default=0)  # the department that counts most; 0 where WeCom does not say
    status = models.SmallIntegerField(default=ACTIVE)
    told_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "userid"], name="wecom_member_once")]


class RoleRule(models.Model):
    """Which role members of a department get when they sign on. The first rule in order that fits a member in a
    department gives him the role there; what other departments of his give is added.

    `department` 0: any that is a store's; otherwise that one and those below it. `org_node` null: the place of the
    department's store.
    """

    LEADERS, OTHERS, ALL = "leaders", "others", "all"

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, related_name="role_rules")
    position = models.IntegerField(default=0)
    department = models.BigIntegerField(default=0)
    members = models.CharField(max_length=8, default=ALL)
    role = models.CharField(max_length=40)
    org_node = models.ForeignKey(OrgNode, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corp", "department", "members", "role"], name="wecom_role_rule_once")
        ]


class CorpNotice(models.Model):
    """Something WeCom told about the corp that somebody should know: quota of links low, a link unusable, a hand-over
    that failed. `detail` holds ids, never names."""

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    kind = models.CharField(max_length=60)  # Event.ChangeType
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)
    message = models.OneToOneField(CallbackMessage, models.SET_NULL, null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["corp", "-at"], name="wecom_notice_newest")]


class Enclosing(models.Model):
    """A welcome that encloses a mini-program's card, a video or a file. WeCom keeps files for three days (`MediaCopy`):
    ours stay here and are given anew."""

    mini = models.JSONField(default=dict)  # title, appid, page
    mini_picture = models.ForeignKey(StoredFile, models.PROTECT, null=True, related_name="+")
    video = models.ForeignKey(StoredFile, models.PROTECT, null=True, related_name="+")
    file = models.ForeignKey(StoredFile, models.PROTECT, null=True, related_name="+")

    class Meta:
        abstract = True


class WelcomeRule(Enclosing):
    """What a new friend is told at once, and to whom it is told. The first rule in order that fits wins.

    An empty condition fits everybody: `channel_states` (of codes and links), `org_node` (whose staff), times of the
    brand's day (`from_minute` to `until_minute`, over midnight if it is the smaller one), `audience` (people we know).
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    name = models.CharField(max_length=60)
    position = models.IntegerField(default=0)
    enabled = models.BooleanField(default=True)
    channel_states = ArrayField(models.CharField(max_length=64), default=list)
    org_node = models.ForeignKey(OrgNode, models.PROTECT, null=True, related_name="+")
    staff = ArrayField(models.CharField(max_length=64), default=list)  # userids
    from_minute = models.SmallIntegerField(null=True)
    until_minute = models.SmallIntegerField(null=True)
    audience = models.ForeignKey(Audience, models.PROTECT, null=True, related_name="+")
    text = models.TextField(blank=True, default="")  # at most 4,000 bytes
    link = models.JSONField(default=dict)  # title, url, desc
    picture_url = models.CharField(max_length=500, blank=True, default="")  # of media/uploadimg: it stays for ever
    picture_name = models.CharField(max_length=120, blank=True, default="")
    version = models.IntegerField(default=1)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=80, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["position", "id"], name="wecom_welcome_order")]

    @property
    def summary(self) -> str:
        """What it says, in short."""
        return self.text or str(self.link.get("title", "")) or self.picture_name

    @property
    def hours(self) -> str:
        """From when until when, as 09:00–18:00; empty for the whole day."""
        if self.from_minute is None or self.until_minute is None:
            return ""
        return "–".join(f"{at // 60:02}:{at % 60:02}" for at in (self.from_minute, self.until_minute))


class Welcome(models.Model):
    """A welcome code and what became of it; it works for 20 seconds from `happened_at`, and once.

    `none`: no rule fits. `late`: we came too late. `refused`: WeCom said why in `code_of_refusal`. A code whose
    sending was tried before and is answered with "already sent" was sent then.
    """

    WAITING, SENT, NONE, LATE, REFUSED = "waiting", "sent", "none", "late", "refused"

    id = models.BigAutoField(primary_key=True)
    message = models.OneToOneField(CallbackMessage, models.CASCADE)
    app = models.ForeignKey(App, models.CASCADE, db_index=False)
    userid = models.CharField(max_length=64)
    external_userid = models.CharField(max_length=64)
    channel_state = models.CharField(max_length=64, default="")
    code = models.BinaryField(null=True)  # sealed; emptied when it is used up
    happened_at = models.DateTimeField()
    state = models.CharField(max_length=8, default=WAITING)
    rule = models.ForeignKey(WelcomeRule, models.SET_NULL, null=True, related_name="sent")
    tries = models.SmallIntegerField(default=0)
    code_of_refusal = models.IntegerField(default=0, db_default=0)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], name="wecom_welcome_waiting", condition=models.Q(state="waiting")),
            models.Index(fields=["-happened_at"], name="wecom_welcome_newest"),
        ]


class Unassigned(models.Model):
    """A customer of somebody who left, whom WeCom lists as waiting to be handed over (section 14)."""

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    userid = models.CharField(max_length=64)
    external_userid = models.CharField(max_length=64)
    left_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # when WeCom listed it last

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corp", "userid", "external_userid"], name="wecom_unassigned_once")
        ]
        indexes: ClassVar = [models.Index(fields=["external_userid"], name="wecom_unassigned_customer")]


class Handover(models.Model):
    """Customers and groups of one member of staff (`giver`) that go to others: prepared, confirmed, followed up.

    `kind`: she left (离职继承) or is in service (在职继承). `asked` is what is to be prepared, `problem` why it could
    not be; `job` the one that prepares or hands over. `counts` are the final ones, by kind and state of the items.
    """

    LEFT, ON_JOB = "left", "on_job"
    ONE, SHARED = "one", "shared"
    PREPARING, REFUSED, PREPARED, RUNNING, DONE = "preparing", "refused", "prepared", "running", "done"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    corp = models.ForeignKey(Corp, models.PROTECT, db_index=False)
    giver = models.ForeignKey(Staff, models.PROTECT, related_name="+")
    org_node = models.ForeignKey(OrgNode, models.PROTECT, related_name="+")  # where the giver worked then
    kind = models.CharField(max_length=8)
    rule = models.CharField(max_length=8)
    message = models.CharField(max_length=200, blank=True, default="")  # of one in service, to the customer
    state = models.CharField(max_length=10, default=PREPARED)
    job = models.ForeignKey(JobRun, models.SET_NULL, null=True, related_name="+")
    asked = models.JSONField(default=dict)
    problem = models.CharField(max_length=24, blank=True, default="")
    actor = models.CharField(max_length=80)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)  # when WeCom was last asked what became of it
    counts = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["looked_at"], name="wecom_handover_open", condition=models.Q(state="running")),
        ]


class HandoverItem(models.Model):
    """One customer (`key`: external_userid) or group (chat id) of a hand-over, to whom it goes and how far it is.

    It is `asking` before WeCom is called. `unknown`: the call was made and its outcome is looked up. `waiting`: WeCom
    has taken it (a customer has 24 hours to refuse). One is under way once only, whoever hands over.
    """

    CUSTOMER, GROUP = "customer", "group"
    PLANNED, LEFT_OUT, ASKING, UNKNOWN, WAITING = "planned", "left_out", "asking", "unknown", "waiting"
    DONE, REFUSED, FULL, REJECTED = "done", "refused", "full", "rejected"
    OPEN: ClassVar = (ASKING, UNKNOWN, WAITING)

    id = models.BigAutoField(primary_key=True)
    handover = models.ForeignKey(Handover, models.CASCADE, related_name="items", db_index=False)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    kind = models.CharField(max_length=8)
    key = models.CharField(max_length=64)
    taker = models.ForeignKey(Staff, models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=10, default=PLANNED)
    reason = models.CharField(max_length=24, blank=True, default="")
    code = models.IntegerField(default=0)  # what WeCom answered
    asked_at = models.DateTimeField(null=True)
    again_at = models.DateTimeField(null=True)  # not before then: a limit of the day
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["handover", "kind", "key"], name="wecom_item_once"),
            models.UniqueConstraint(
                fields=["corp", "kind", "key"],
                name="wecom_item_under_way_once",
                condition=models.Q(state__in=["asking", "unknown", "waiting"]),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["handover", "state", "taker"], name="wecom_item_of"),
            models.Index(fields=["key"], name="wecom_item_key"),
            models.Index(fields=["taker", "asked_at"], name="wecom_item_asked"),
        ]


class Avatar(models.Model):
    """A customer's avatar that somebody wished to see: a small JPEG, sealed, or the word that there is none."""

    WANTED, KEPT, NONE = "wanted", "kept", "none"

    id = models.BigAutoField(primary_key=True)
    external_userid = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=6, default=WANTED)
    picture = models.BinaryField(null=True)  # sealed
    wanted_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)
    again_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["-wanted_at"], name="wecom_avatar_wanted", condition=models.Q(state="wanted"))
        ]


class MediaCopy(models.Model):
    """What WeCom has of a file of ours: an id that lives three days (section 19). Given anew from the kept original."""

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    file = models.ForeignKey(StoredFile, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8)  # image, voice, video, file
    media_id = models.CharField(max_length=200)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "file", "kind"], name="wecom_media_once")]


class GroupWelcome(Enclosing):
    """A welcome template for group chats (入群欢迎语): offered by WeCom to owners, each of whom has to set it in the
    client. Only the app that made it may change it. `unknown`: WeCom gave no answer when it was made."""

    MAKING, MADE, UNKNOWN = "making", "made", "unknown"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=public_id, unique=True)
    app = models.ForeignKey(App, models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    text = models.TextField(blank=True, default="")  # at most 3,000 bytes; %NICKNAME% is replaced by WeCom
    link = models.JSONField(default=dict)  # title, url, desc
    picture_url = models.CharField(max_length=500, blank=True, default="")
    picture_name = models.CharField(max_length=120, blank=True, default="")
    template_id = models.CharField(max_length=80, blank=True, default="")
    state = models.CharField(max_length=8, default=MAKING)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=80, default="")

    @property
    def summary(self) -> str:
        """What it says, in short."""
        return (
            self.text or str(self.link.get("title", "")) or self.picture_name or (self.file.name if self.file else "")
        )


class GroupWelcomeUse(models.Model):
    """A group that should greet with a template. Whether it does, only its owner can tell: WeCom's API does not."""

    id = models.BigAutoField(primary_key=True)
    welcome = models.ForeignKey(GroupWelcome, models.CASCADE, related_name="uses")
    group = models.OneToOneField(GroupChat, models.CASCADE, related_name="welcome_use")
    asked_at = models.DateTimeField(null=True)
    is_set = models.BooleanField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.CharField(max_length=80, default="")


class OwnerDay(models.Model):
    """What WeCom's statistics tell of all groups of one owner on one day (section 7): there are none by group.

    A row without an owner says that the day was read.
    """

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    day = models.DateField()
    owner = models.CharField(max_length=64, blank=True)
    new_groups = models.IntegerField(default=0)
    groups = models.IntegerField(default=0)
    groups_that_spoke = models.IntegerField(default=0)
    new_members = models.IntegerField(default=0)
    members = models.IntegerField(default=0)
    members_who_spoke = models.IntegerField(default=0)
    messages = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "owner", "day"], name="wecom_owner_day_once")]


class CorpCost(models.Model):
    """What was measured of what WeCom charges for, and what the brand says of its contract. Amounts in fen (CNY).

    `fee_per_thousand` is for a thousand people served in a year, the others for one customer of a link and for one
    member's interface licence in a year.
    """

    corp = models.OneToOneField(Corp, models.CASCADE, primary_key=True, related_name="cost")
    counted_at = models.DateTimeField(null=True)
    friends = models.BigIntegerField(default=0)
    group_only = models.BigIntegerField(default=0)  # in a group, friend of nobody
    new_in_30_days = models.BigIntegerField(default=0)
    quota_at = models.DateTimeField(null=True)
    quota_code = models.IntegerField(default=0)  # what WeCom answered instead of the quota
    quota_bought = models.IntegerField(default=0)
    quota_left = models.IntegerField(default=0)
    quota_ends = models.JSONField(default=list)  # [[day, how many], ...]
    free_people = models.IntegerField(default=2_000)
    fee_per_thousand = models.IntegerField(default=10_000)
    bought_people = models.BigIntegerField(null=True)
    bought_until = models.DateField(null=True)
    link_price = models.IntegerField(null=True)
    licence_price = models.IntegerField(null=True)
    licences = models.IntegerField(null=True)


class MassMessage(models.Model):
    """A mass message (群发) that WeCom lists, whoever made it: by the API, in WeCom's console, or a member on her own.

    Those of our own tasks (`ours`) are in the send ledger; of the others what arrived is kept here, since they use the
    same caps. `settled`: everybody who confirmed was read, or its month is over.
    """

    id = models.BigAutoField(primary_key=True)
    corp = models.ForeignKey(Corp, models.CASCADE, db_index=False)
    msgid = models.CharField(max_length=80)
    to_groups = models.BooleanField(default=False)
    by_member = models.BooleanField(default=False)
    creator = models.CharField(max_length=64, blank=True, default="")
    made_at = models.DateTimeField()
    ours = models.BooleanField(default=False)
    settled = models.BooleanField(default=False)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corp", "msgid"], name="wecom_mass_once")]
        indexes: ClassVar = [
            models.Index(fields=["looked_at"], name="wecom_mass_open", condition=models.Q(settled=False))
        ]


class MassSender(models.Model):
    """A sender of a mass message who has confirmed, and whose recipients were read."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(MassMessage, models.CASCADE, related_name="read_senders", db_index=False)
    userid = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["message", "userid"], name="wecom_mass_sender_once")]


class MassReceipt(models.Model):
    """Who got a mass message that is not ours: `key` is an external_userid or a chat id. Days are the brand's."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(MassMessage, models.CASCADE, related_name="receipts", db_index=False)
    key = models.CharField(max_length=64)
    sent_at = models.DateTimeField()
    sent_on = models.DateField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["message", "key"], name="wecom_receipt_once")]
        indexes: ClassVar = [models.Index(fields=["key", "sent_on"], name="wecom_receipt_of")]
