from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0015_kept_sets_as_they_are"),
    ]

    operations = [
        migrations.AlterField(
            model_name="attributedefinition",
            name="type",
            field=models.CharField(
                choices=[
                    ("text", "text"),
                    ("number", "number"),
                    ("date", "date"),
                    ("boolean", "boolean"),
                    ("choice", "choice"),
                    ("place", "place"),
                ],
                max_length=10,
            ),
        ),
    ]
