"""Deciding a chunk of a plan, in the caller's transaction: its split by reasons, then reservations, tasks and counters.

Whatever concerns the chunk's people alone - their split, and the keys of what they are promised - comes before the
right to reserve is waited for, so that one lane of a plan does it while another writes; if anybody else has reserved on
the channel meanwhile, it is taken back and done once more under the lock.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.utils import CursorWrapper
from pyroaring import BitMap

from hetang.experiments import assignment
from hetang.platform import clock
from hetang.touch import governor, ledger, wishes
from hetang.touch.channels import identity_kind, is_direct, people_per_unit
from hetang.touch.models import CONTROL, CONTROL_ARM, EXCLUDED, PLANNED, SEND_ARM, Plan, PlanGroup, Programme
from hetang.touch.rules import Request

_MINOR, _OBJECTED = 1, 2  # what a person of a chunk is marked with
_DENSE = 0.05  # of a chunk's number range: above it a range scan beats a probe per person
_CROWDED = 0.5  # above it a look at everybody in the range costs less than finding out who is meant

_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = b"\xff\xff"

# A chunk is sorted in memory, and a sample of some thousands of its people tells the planner enough. Its commit waits
# for no disk: all of it is in one transaction, so that a crash takes the plan back to the chunk before, and the plan's
# end, without which nothing is sent, waits for the disk with all that came before.
_FOR_A_CHUNK = """
set local work_mem = '32MB'; set local default_statistics_target = 10; set local synchronous_commit = off
"""


def decide(cursor: CursorWrapper, plan: Plan, numbers: array[int]) -> None:
    """Decide about the next people of a plan (sorted numbers), in the caller's transaction."""
    request = Request.from_json(plan.parameters)
    cursor.execute(_FOR_A_CHUNK)
    _load(cursor, request, numbers)
    seen = governor.reservers(cursor, request.channel)
    before = transaction.savepoint()
    groups = _prepare(cursor, plan, request, numbers)
    if plan.programme_id is not None:
        found = governor.lock(cursor, request.channel, f"plan {plan.pk}")
        if not governor.alone(seen, found, f"plan {plan.pk}"):
            transaction.savepoint_rollback(before)  # which gives the right back, too
            governor.lock(cursor, request.channel, f"plan {plan.pk}")
            groups = _prepare(cursor, plan, request, numbers)
    Plan.objects.select_for_update(of=("self",)).only("pk").get(pk=plan.pk)  # a dry run's lanes meet here
    _keep_groups(plan, groups)
    _keep_senders(cursor, plan)
    if plan.programme_id is None:
        return
    programme = Programme.objects.get(pk=plan.programme_id)
    written = _write_touches(cursor, plan, programme)
    sent = sum(len(members) for (reason, _), members in groups.items() if not reason)
    if written != sent:
        raise AssertionError(f"{written} touches written for {sent} people")
    ledger.add(_counts(programme, groups))


def _prepare(cursor: CursorWrapper, plan: Plan, request: Request, numbers: array[int]) -> dict[tuple[str, int], BitMap]:
    """All that touches nobody but the chunk's people: their split, its sets, and the keys of their promises."""
    _split(cursor, request, numbers)
    _load_senders(cursor)
    if plan.programme_id is not None:
        _keep_holdout(cursor, plan)
        _take_keys(cursor, plan.programme_id)
    return _groups(cursor)


def count_tasks(cursor: CursorWrapper, plan: Plan, programme: Programme) -> None:
    """Write down how many people each task of a finished plan holds: once, as chunks fill the same tasks."""
    _join_whole_sets(cursor)
    cursor.execute(_TASK_SIZES, _facts_of(plan, programme))


def _load(cursor: CursorWrapper, request: Request, numbers: array[int]) -> None:
    """The chunk's people with what was drawn for them and what they wish, by binary COPY."""
    import numpy as np

    cursor.execute(
        "create temp table if not exists plan_person"
        " (customer bigint, control boolean, variant smallint, wish smallint) on commit delete rows"
    )
    cursor.execute("truncate plan_person")  # a chunk may follow another in the same transaction
    people = np.frombuffer(numbers, dtype=np.uint32)
    layout = [
        *(("fields", ">i2"), ("l1", ">i4"), ("customer", ">i8")),
        *(("l2", ">i4"), ("control", "i1"), ("l3", ">i4"), ("variant", ">i2"), ("l4", ">i4"), ("wish", ">i2")),
    ]
    rows = np.zeros(len(people), dtype=layout)
    rows["fields"], rows["l1"], rows["l2"], rows["l3"], rows["l4"] = 4, 8, 1, 2, 2
    rows["customer"] = people
    rows["control"] = assignment.control_group(request.seed, people, request.control_bp)
    rows["variant"] = assignment.variants(request.seed, people, request.weights)
    for wish, those in _wishes(cursor, request, numbers):
        rows["wish"][np.isin(people, np.asarray(those, dtype=np.uint32))] = wish
    with cursor.copy("copy plan_person from stdin (format binary)") as copy:
        copy.write(_COPY_HEAD + rows.tobytes() + _COPY_TAIL)
    cursor.execute("analyze plan_person")


@dataclass(frozen=True)
class _Span:
    """The chunk's people as conditions on a column of customer numbers."""

    first: int
    last: int
    people: int

    @classmethod
    def of(cls, numbers: array[int]) -> _Span:
        return cls(numbers[0], numbers[-1], len(numbers))

    def near(self, column: str) -> str:
        """For the planner, beside a join with the people."""
        if self._share > _DENSE:
            return f"{column} between {self.first} and {self.last}"
        return f"{column} is not null"

    def meant(self, column: str) -> str:
        """Everybody of the chunk, and some others where they would cost more to leave out."""
        if self._share > _CROWDED:
            return self.near(column)
        return f"{self.near(column)} and {column} in (select customer from plan_person)"

    @property
    def _share(self) -> float:
        return self.people / (self.last - self.first + 1)


def _split(cursor: CursorWrapper, request: Request, numbers: array[int]) -> None:
    """Put everybody of the chunk under the first reason that holds, in the order of `rules.REASONS`."""
    cursor.execute(
        "create temp table if not exists plan_split (customer bigint, reason text, variant smallint, staff bigint,"
        " org_node bigint, store bigint, address text) on commit delete rows"
    )
    cursor.execute("truncate plan_split")
    span = _Span.of(numbers)
    consent, basis = _no_consent(request.message_class)
    disturb = "d.on and d.until is null" if request.message_class != "transaction" else "false"
    quiet = "d.on and d.until > %s" if request.message_class != "transaction" else "%s::timestamptz is null"
    resting = governor.quiet(request.slot_at, request.message_class) is not None
    capped, capped_params = _capped(request, span)
    reach, reach_params = _direct(request, span) if is_direct(request.channel) else _owner(request, span)
    picked, picked_params = _cluster_variants(request)
    cursor.execute(
        f"""
        insert into plan_split
        select p.customer,
          case when {consent} then 'no_consent' when {basis} then 'no_basis' when p.wish = {_MINOR} then 'minor'
               when p.wish = {_OBJECTED} then 'objected' when {disturb} then 'do_not_disturb'
               when u.capped then 'capped' when %s or {quiet} then 'quiet'
               when r.customer_id is null or k.number is null then 'unreachable'
               when p.control then 'control' else '' end,
          coalesce(v.variant, p.variant), r.staff_id, r.org_node_id, coalesce(r.store_id, k.home_store_id), r.address
        from plan_person p
        left join customers_customer k on k.number = p.customer and k.merged_into_id is null and k.erased_at is null
          and {span.near("k.number")}
        left join customers_consent c on c.customer_id = p.customer and c.purpose = %s and c.channel = %s
          and {span.near("c.customer_id")}
        left join customers_donotdisturb d on d.customer_id = p.customer and {span.near("d.customer_id")}
        left join ({capped}) u on u.customer = p.customer
        left join ({reach}) r on r.customer_id = p.customer
        left join ({picked}) v on v.staff = r.staff_id
        """,
        [
            *(resting, request.slot_at, request.message_class, request.channel),
            *(*capped_params, *reach_params, *picked_params),
        ],
    )


def _no_consent(message_class: str) -> tuple[str, str]:
    """SQL for who has not agreed, and for whose consent does not count for want of a legal basis. Marketing needs a
    consent that counts; for the other classes only a refusal does."""
    if message_class == wishes.MARKETING:
        return "c.given is not true", "not c.counts"
    return "c.given is false", "false"


def _wishes(cursor: CursorWrapper, request: Request, numbers: array[int]) -> Iterator[tuple[int, list[int]]]:
    """Who of the chunk's range has which wish, the stronger one last. They are few and each kind has an index, so they
    are fetched and marked rather than joined: a join of its own would cost every plan more than all of them."""
    if not wishes.applies(request.message_class):
        return
    if request.personalised:
        yield _OBJECTED, wishes.objected(cursor, numbers[0], numbers[-1])
    yield _MINOR, wishes.minors(cursor, numbers[0], numbers[-1], clock.local_day(request.slot_at))


def _capped(request: Request, span: _Span) -> tuple[str, list[Any]]:
    limits = governor.limits(request.channel, request.message_class, request.slot_at)
    if not limits.counts:
        return "select null::bigint as customer, false as capped where false", []
    return governor.capped_sql(limits, span.meant("t.customer"))


def _owner(request: Request, span: _Span) -> tuple[str, list[Any]]:
    """One sender per person: the bound owner with an active relation, else the adviser who served her last, else the
    newest friend. Orders are looked at only where friends compete."""
    scope = "join platform_orgnode n on n.id = s.org_node_id and n.path like %s" if request.org_path else ""
    sql = f"""
    with friend as materialized (
      select r.customer_id, r.staff_id, r.since, r.external_userid as address, s.org_node_id, s.store_id
      from customers_relation r join resources_staff s on s.id = r.staff_id and s.active {scope}
      where {span.meant("r.customer_id")} and r.state = 'active'
    ), several as materialized (
      select customer_id from friend group by customer_id having count(*) > 1
    )
    select customer_id, staff_id, org_node_id, store_id, address
    from friend where customer_id not in (select customer_id from several)
    union all
    (select distinct on (f.customer_id) f.customer_id, f.staff_id, f.org_node_id, f.store_id, f.address
     from several join friend f using (customer_id)
     join customers_customer k on k.number = f.customer_id
     left join lateral (
       select max(o.placed_at) as at from commerce_order o
       where o.customer_id = f.customer_id and o.staff_id = f.staff_id
     ) served on true
     order by f.customer_id, (k.owner_id is not distinct from f.staff_id) desc, served.at desc nulls last,
              f.since desc, f.staff_id)
    """
    return sql, [f"{request.org_path}%"] if request.org_path else []


def _direct(request: Request, span: _Span) -> tuple[str, list[Any]]:
    """Whoever has an address of the channel's kind; the one seen first. Nobody sends: staff is 0."""
    sql = f"""
    select distinct on (i.customer_id) i.customer_id, 0::bigint as staff_id, null::bigint as org_node_id,
           null::bigint as store_id, i.key as address
    from customers_identity i
    where {span.meant("i.customer_id")} and i.kind = %s
    order by i.customer_id, i.first_seen_at, i.id
    """
    return sql, [identity_kind(request.channel)]


def _cluster_variants(request: Request) -> tuple[str, list[Any]]:
    """The variant of each adviser in a cluster design; no rows in the others."""
    if request.design != "cluster" or len(request.weights) < 2:
        return "select null::bigint as staff, null::smallint as variant where false", []
    variants = cluster_variants(request)
    values = [list(variants), list(variants.values())]
    return "select * from unnest(%s::bigint[], %s::smallint[]) as c(staff, variant)", values


def cluster_variants(request: Request) -> dict[int, int]:
    """The variant (from 1) of each adviser in a cluster design. Who comes or goes after the plan began does not change
    the others."""
    return assignment.shared_out(request.seed, request.advisers, request.weights)


def _groups(cursor: CursorWrapper) -> dict[tuple[str, int], BitMap]:
    """The chunk's sets by (reason, variant); the variant is 0 for people who get nothing."""
    cursor.execute(
        "select reason, case when reason = '' then variant else 0 end, string_agg(int8send(customer), ''::bytea)"
        " from plan_split group by 1, 2"
    )
    return {(reason, variant): _bitmap(packed) for reason, variant, packed in cursor.fetchall()}


def _bitmap(packed: bytes) -> BitMap:
    import numpy as np

    numbers = array("I")
    numbers.frombytes(np.frombuffer(packed, dtype=">i8").astype(np.uint32).tobytes())
    return BitMap(numbers)


def _keep_groups(plan: Plan, groups: dict[tuple[str, int], BitMap]) -> None:
    known = {(group.reason, group.variant): group for group in PlanGroup.objects.filter(plan=plan)}
    for (reason, variant), members in groups.items():
        group = known.get((reason, variant)) or PlanGroup(plan=plan, reason=reason, variant=variant)
        everybody = BitMap.deserialize(bytes(group.members)) | members if group.pk else members
        group.members, group.count = everybody.serialize(), len(everybody)
        group.save()


def _load_senders(cursor: CursorWrapper) -> None:
    """How many of the chunk's people each sender and text gets."""
    cursor.execute(
        "create temp table if not exists plan_load (staff bigint, variant smallint, people bigint, before bigint)"
        " on commit delete rows"
    )
    cursor.execute("truncate plan_load")
    cursor.execute(
        "insert into plan_load select staff, variant, count(*), 0 from plan_split where reason = '' group by 1, 2"
    )


def _keep_senders(cursor: CursorWrapper, plan: Plan) -> None:
    """Add the chunk's people to each sender's and text's, and note in `plan_load` how many they had before."""
    cursor.execute(
        """
        with kept as (
          insert into touch_plansender (plan_id, staff_id, variant, people)
          select %s, staff, variant, people from plan_load order by staff, variant
          on conflict (plan_id, staff_id, variant) do update set people = touch_plansender.people + excluded.people
          returning staff_id, variant, people
        )
        update plan_load l set before = k.people - l.people
        from kept k where k.staff_id = l.staff and k.variant = l.variant
        """,
        [plan.pk],
    )


def _keep_holdout(cursor: CursorWrapper, plan: Plan) -> None:
    columns = ("customer", "staff", "coalesce(store, 0)", "variant::bigint")
    packed = ", ".join(f"string_agg(int8send({column}), ''::bytea order by customer)" for column in columns)
    cursor.execute(
        "insert into touch_planholdout (plan_id, customers, staff, stores, variants)"
        f" select %s, {packed} from plan_split where reason = 'control' having count(*) > 0",
        [plan.pk],
    )


def _take_keys(cursor: CursorWrapper, programme_id: int) -> None:
    """A person who already has this promise breaks the unique key, and with it the whole chunk."""
    cursor.execute(
        "insert into touch_key (programme, step, customer, occurrence)"
        " select %s, 1, customer, 0 from plan_split where reason = '' order by customer",
        [programme_id],
    )


_OWN_TASKS = """(select id, variant, coalesce(staff_id, 0) as staff, seq from touch_sendtask
  where programme_id = %(programme)s)"""

# Ten characters of base 64 without look-alikes of punctuation: 60 bits, made per row.
_CODE = "substr(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/=', 'xyz'), 1, 10)"


# Only tasks that are missing are written: an upsert of thousands of rows a chunk cost a third of a plan. Their people
# are counted once, at the end.
_NEW_TASKS = f"""
with missing as (
  select l.variant, l.staff, q.seq
  from plan_load l
  cross join lateral generate_series(l.before / %(per)s, (l.before + l.people - 1) / %(per)s) as q(seq)
  left join {_OWN_TASKS} k on k.variant = l.variant and k.staff = l.staff and k.seq = q.seq
  where k.id is null
), made as (
  insert into touch_sendtask (programme_id, channel, variant, staff_id, org_node_id, seq, link_id, slot_at)
  select %(programme)s, %(channel)s, m.variant, nullif(m.staff, 0), s.org_node_id, m.seq, {_CODE}, %(slot)s
  from missing m left join resources_staff s on s.id = m.staff
  order by m.variant, m.staff, m.seq
  returning link_id
)
insert into touch_shortlink (code, target, programme_id, created_at)
select link_id, %(target)s, %(programme)s, %(now)s from made
"""
_TOUCHES = f"""
with placed as (
  select s.*, {{place}} as seq
  from plan_split s join plan_load l on l.staff = s.staff and l.variant = s.variant
  where s.reason = ''
)
insert into touch_touch (planned_at, slot_at, programme, customer, task, staff, org_node, store, local_day,
                         version, variant, channel, message_class, address)
select %(planned)s, %(slot)s, %(programme)s, p.customer, k.id, nullif(p.staff, 0), p.org_node, p.store, %(day)s,
       %(version)s, p.variant, %(channel)s, %(class)s, p.address
from placed p join {_OWN_TASKS} k on k.variant = p.variant and k.staff = p.staff and k.seq = p.seq
"""
_TASK_SIZES = """
update touch_sendtask k set people = least((k.seq + 1) * %(per)s, s.people) - k.seq * %(per)s
from touch_plansender s
where k.programme_id = %(programme)s and s.plan_id = %(plan)s and s.variant = k.variant
  and s.staff_id = coalesce(k.staff_id, 0)
"""


def _place_in_task(cursor: CursorWrapper, per_task: int) -> str:
    """SQL of the task, from 0, that a person of `plan_split` falls into: nobody is counted while one task holds all."""
    cursor.execute("select coalesce(max(before + people), 0) from plan_load")
    if cursor.fetchone()[0] <= per_task:
        return "0"
    rank = "row_number() over (partition by s.staff, s.variant order by s.customer)"
    return f"(l.before + {rank} - 1) / %(per)s"


def _write_touches(cursor: CursorWrapper, plan: Plan, programme: Programme) -> int:
    """The promises, and the tasks that they need: each sender's and text's people fill one task after the other."""
    values = _facts_of(plan, programme)
    _join_whole_sets(cursor)
    cursor.execute(_NEW_TASKS, values)
    cursor.execute(_TOUCHES.format(place=_place_in_task(cursor, values["per"])), values)
    return int(cursor.rowcount)


def _join_whole_sets(cursor: CursorWrapper) -> None:
    """Join by hash for the rest of the transaction: the planner takes new sets to be tiny, and its nested loops and its
    merges on half of the key took seconds."""
    cursor.execute("set local enable_nestloop = off; set local enable_mergejoin = off")


def _facts_of(plan: Plan, programme: Programme) -> dict[str, Any]:
    return {
        "plan": plan.pk,
        "programme": programme.pk,
        "version": programme.version,
        "channel": programme.channel,
        "class": programme.message_class,
        "planned": programme.planned_at,
        "slot": programme.slot_at,
        "day": clock.local_day(programme.slot_at),
        "per": people_per_unit(programme.channel),
        "target": programme.target_url,
        "now": clock.now(),
    }


def _counts(
    programme: Programme, groups: dict[tuple[str, int], BitMap]
) -> dict[tuple[int, str, str, int, str, str], int]:
    counts = {}
    for (reason, variant), members in groups.items():
        if reason == CONTROL:
            state, arm = (CONTROL, ""), CONTROL_ARM
        elif reason:
            state, arm = (EXCLUDED, reason), ""
        else:
            state, arm = (PLANNED, ""), SEND_ARM
        counts[programme.pk, programme.channel, arm, variant, *state] = len(members)
    return counts
