from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("resources", "0003_store_datum"),
    ]

    operations = [
        migrations.CreateModel(
            name="District",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=64, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("parent", models.CharField(blank=True, default="", max_length=120)),
                ("latitude", models.DecimalField(decimal_places=6, max_digits=9, null=True)),
                ("longitude", models.DecimalField(decimal_places=6, max_digits=9, null=True)),
                ("datum", models.CharField(blank=True, default="", max_length=5)),
            ],
        ),
    ]
