from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("later", "0001_note")]
    operations = [
        migrations.RunSQL(
            "insert into later_thing values (1); alter table platform_user add constraint liked"
            " check (username <> 'disliked')",
            "alter table platform_user drop constraint liked; delete from later_thing",
        ),
    ]
