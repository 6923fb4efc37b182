"""The fact log, its intake and its unique keys. Partitioned by month of receipt from the start; the unique key of a
fact lives in a table of its own, because a partitioned table cannot hold one that spans partitions."""

from django.db import migrations

FORWARD = """
create table facts_epoch (id smallint primary key default 1 check (id = 1), epoch smallint not null default 1);
insert into facts_epoch values (1, 1);

create table facts_key (key_hash uuid primary key) with (fillfactor = 90);

create table facts_intake (
  id bigint generated always as identity,
  received_at timestamptz not null,
  door text not null,
  source text not null,
  body bytea not null,
  body_bytes integer not null,
  accepted integer not null default 0,
  duplicates integer not null default 0,
  rejected integer not null default 0,
  primary key (received_at, id)
) partition by range (received_at);
create table facts_intake_default partition of facts_intake default;

create table facts_fact (
  id bigint generated always as identity,
  epoch smallint not null,
  tx xid8 not null default pg_current_xact_id(),
  received_at timestamptz not null,
  occurred_at timestamptz not null,
  kind text not null,
  source text not null,
  key text not null,
  subject_kind text,
  subject_key text,
  who jsonb,
  body jsonb not null,
  sealed bytea,
  members bytea
) partition by range (received_at);
create table facts_fact_default partition of facts_fact default;
create index fact_position on facts_fact (epoch, tx, id);
-- Rows lie in order of receipt, so this finds a fact by (received_at, id) without a second B-tree to feed.
create index fact_received on facts_fact using brin (received_at);
create index fact_of_subject on facts_fact (subject_kind, subject_key, occurred_at) where subject_key is not null;
"""

BACKWARD = "drop table facts_fact, facts_intake, facts_key, facts_epoch"


class Migration(migrations.Migration):
    dependencies = [("facts", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
