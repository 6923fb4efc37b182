"""A turn of the one who had the last one counts, too: whoever looked in between must see it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("touch", "0004_lanes")]
    operations = [
        migrations.RenameField("reserver", "changes", "turns"),
        migrations.AlterField("reserver", "turns", models.BigIntegerField()),
        # Before any turn of the next holder: whoever looks at it now makes her split again, which is never wrong.
        migrations.RunSQL("delete from touch_reserver", migrations.RunSQL.noop),
        migrations.AddField("reserver", "since", models.BigIntegerField(default=0), preserve_default=False),
    ]
