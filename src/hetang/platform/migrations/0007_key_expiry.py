from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("platform", "0006_brand_country")]

    operations = [
        migrations.AddField(model_name="apikey", name="expires_at", field=models.DateTimeField(null=True)),
    ]
