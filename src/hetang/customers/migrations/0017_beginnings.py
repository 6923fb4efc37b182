"""Friendships remember how they began: of those that were lost, their facts still tell it."""

from django.db import migrations, models

KEPT = """
update customers_relation set begun_at = since, begun_way = add_way, begun_state = channel_state
where state in ('active', 'half') or since < occurred_at
"""
TOLD = """
update customers_relation r set begun_at = t.begun_at, begun_way = t.way, begun_state = t.channel_state
from (
  select distinct on (id) * from (
    select l.id, coalesce((f.body->>'since')::timestamptz, f.occurred_at) as begun_at,
           coalesce((f.body->>'add_way')::int, 0) as way, coalesce(f.body->>'channel_state', '') as channel_state
    from customers_relation l join resources_staff s on s.id = l.staff_id
    join facts_fact f on f.subject_kind = 'external_userid' and f.subject_key = l.external_userid
    where l.begun_at is null and f.kind = 'relation.changed' and f.body->>'staff' = s.userid
      and f.body->>'state' in ('active', 'half')
  ) w order by id, begun_at, way desc, channel_state desc
) t where t.id = r.id
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0016_attribute_place"), ("facts", "0003_erasing"), ("resources", "0001_initial")]
    operations = [
        migrations.AddField("relation", "begun_at", models.DateTimeField(null=True)),
        migrations.AddField("relation", "begun_way", models.IntegerField(db_default=0, default=0)),
        migrations.AddField(
            "relation", "begun_state", models.CharField(blank=True, db_default="", default="", max_length=64)
        ),
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
        migrations.RunSQL(TOLD, migrations.RunSQL.noop),
    ]
