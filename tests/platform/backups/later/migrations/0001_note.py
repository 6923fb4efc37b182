from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("platform", "0001_initial")]
    operations = [
        migrations.RunSQL(
            "alter table platform_brand add column note text; create table later_thing (n bigint primary key)",
            "drop table later_thing; alter table platform_brand drop column note",
        ),
    ]
