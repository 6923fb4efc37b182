"""Set facts are few and large: an index of their own finds them without reading the log. And the list of identities
that may not come back."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("facts", "0002_partitioned_log")]
    operations = [
        migrations.RunSQL(
            "create index fact_sets on facts_fact (received_at, id) where members is not null",
            "drop index fact_sets",
        ),
        migrations.RunSQL(
            "create table facts_refused (kind text, hash text, since timestamptz not null, primary key (kind, hash))",
            "drop table facts_refused",
        ),
    ]
