from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("resources", "0002_staff_user"),
    ]

    operations = [
        migrations.AddField(
            model_name="store",
            name="datum",
            field=models.CharField(blank=True, db_default="", default="", max_length=5),
        ),
    ]
