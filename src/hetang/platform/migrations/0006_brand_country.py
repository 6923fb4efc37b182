from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('platform', '0005_logging_in'),
    ]

    operations = [
        migrations.AddField(
            model_name='brand',
            name='country',
            field=models.CharField(blank=True, default='CN', max_length=2),
        ),
    ]
