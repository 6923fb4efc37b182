from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('platform', '0009_remind_permission'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='locked_for',
            field=models.CharField(blank=True, db_default='', default='', max_length=20),
        ),
        migrations.AddField(
            model_name='user',
            name='signed_on_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='grant',
            name='by_rule',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
