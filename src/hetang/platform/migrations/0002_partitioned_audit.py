"""The audit log is partitioned by month from the start; the ORM only reads it (see platform.audit for writing)."""

from django.db import migrations

FORWARD = """
create table platform_auditentry (
  id bigint generated always as identity,
  at timestamptz not null,
  actor text not null,
  action text not null,
  target_type text not null,
  target_id text not null,
  org_node_id bigint,
  changes jsonb not null default '{}',
  request_id text not null default '',
  address inet,
  primary key (at, id)
) partition by range (at);
create table platform_auditentry_default partition of platform_auditentry default;
create index audit_of_target on platform_auditentry (target_type, target_id, at);
create index audit_of_actor on platform_auditentry (actor, at);
"""


class Migration(migrations.Migration):
    dependencies = [("platform", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, "drop table platform_auditentry")]
