from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('wecom', '0006_set_up'),
    ]

    operations = [
        migrations.CreateModel(
            name='Avatar',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('external_userid', models.CharField(max_length=64, unique=True)),
                ('state', models.CharField(default='wanted', max_length=6)),
                ('picture', models.BinaryField(null=True)),
                ('wanted_at', models.DateTimeField()),
                ('fetched_at', models.DateTimeField(null=True)),
                ('tries', models.SmallIntegerField(default=0)),
                ('again_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'wanted')), fields=['-wanted_at'], name='wecom_avatar_wanted')],
            },
        ),
    ]
