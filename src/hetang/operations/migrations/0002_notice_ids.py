from django.db import migrations, models

import hetang.platform.ids


class Migration(migrations.Migration):
    dependencies = [("operations", "0001_initial")]

    operations = [
        # nothing has ever been written into this table: one default for all rows hurts nobody
        migrations.AddField(
            model_name="notice",
            name="public_id",
            field=models.UUIDField(default=hetang.platform.ids.public_id, unique=True),
        ),
    ]
