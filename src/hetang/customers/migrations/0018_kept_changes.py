"""Kept sets are followed by their changes, and their bits stand in smaller rows: a change of a few people writes little.

A row of 8,192 bytes, one of 65,536 customers, becomes eight. Pages stay half empty, so that a row's next version finds
room beside it.
"""

from django.db import migrations, models

_SMALLER = """
create temporary table smaller on commit drop as
select tag_id, chunk * 8 + part as chunk, substring(bits from part * 1024 + 1 for 1024) as bits
from customers_keptchunk cross join generate_series(0, 7) as parts(part);
truncate customers_keptchunk;
alter table customers_keptchunk set (fillfactor = 45);
insert into customers_keptchunk (tag_id, chunk, bits) select tag_id, chunk, bits from smaller;
drop table smaller;
"""
_AS_THEY_ARE = """
alter table customers_keptchange alter column put_on set storage external, alter column taken_off set storage external
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0017_beginnings")]
    operations = [
        migrations.AddField("kepttag", "base", models.BigIntegerField(db_default=0, default=0)),
        migrations.RunSQL("update customers_kepttag set base = stamp", migrations.RunSQL.noop),
        migrations.CreateModel(
            "KeptChange",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("stamp", models.BigIntegerField()),
                ("put_on", models.BinaryField()),
                ("taken_off", models.BinaryField()),
                (
                    "tag",
                    models.ForeignKey(
                        db_index=False, on_delete=models.CASCADE, related_name="+", to="customers.tag"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("tag", "stamp"), name="kept_change_once")],
            },
        ),
        migrations.RunSQL(_AS_THEY_ARE, migrations.RunSQL.noop),
        migrations.RunSQL(_SMALLER),
    ]
