"""The ledger itself, partitioned by month of the plan from the start. Its unique key lives in a table of its own, since
a partitioned table cannot hold one that spans partitions. `reserved` (not the state) is what caps are counted by, so
that the index for caps changes only when a reservation is released."""

from django.db import migrations

FORWARD = """
create table touch_touch (
  id bigint generated always as identity,
  planned_at timestamptz not null,
  slot_at timestamptz not null,
  sent_at timestamptz,
  programme bigint not null,
  customer bigint not null,
  task bigint not null,
  staff bigint,
  org_node bigint,
  store bigint,
  occurrence integer not null default 0,
  local_day date not null,
  version smallint not null default 1,
  step smallint not null default 1,
  variant smallint not null default 1,
  reserved boolean not null default true,
  channel text not null,
  message_class text not null,
  arm text not null default 'send',
  state text not null default 'planned' check (state in
    ('planned', 'held', 'claimed', 'tasked', 'sent', 'failed', 'unknown', 'cancelled', 'expired')),
  reason text not null default '',
  address text not null,
  attempt uuid,
  primary key (id, planned_at) -- in this order: no index may lead with planned_at, which is the same for a whole plan
) partition by range (planned_at);
create table touch_touch_default partition of touch_touch default;
create index touch_reserved on touch_touch (customer, slot_at) include (channel, message_class, planned_at)
  where reserved;
create index touch_of_task on touch_touch (task);

create table touch_key (
  programme bigint not null,
  step smallint not null,
  customer bigint not null,
  occurrence integer not null,
  primary key (programme, step, customer, occurrence)
);

create table touch_tally (
  programme bigint not null,
  channel text not null,
  arm text not null,
  variant smallint not null,
  state text not null,
  reason text not null,
  count bigint not null, -- an upsert of a difference would trip over a check before it finds its row
  primary key (programme, channel, arm, variant, state, reason)
) with (fillfactor = 50);
"""

DEFAULTS = """
insert into touch_cap (channel, "limit", days) values ('wecom', 2, 7), ('', 4, 7);
insert into touch_platformlimit (channel, mode, "limit") values ('wecom', 'month', null);
insert into touch_quiethours (id, "on", start, "end") values (1, true, '22:00', '08:00');
"""


class Migration(migrations.Migration):
    dependencies = [("touch", "0001_initial")]
    operations = [
        migrations.RunSQL(FORWARD, "drop table touch_tally, touch_key, touch_touch"),
        migrations.RunSQL(DEFAULTS, migrations.RunSQL.noop),
    ]
