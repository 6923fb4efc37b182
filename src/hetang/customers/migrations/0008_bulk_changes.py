import django.db.models.deletion
import hetang.platform.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0007_former_keys'),
        ('platform', '0006_brand_country'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='BulkChange',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('public_id', models.UUIDField(default=hetang.platform.ids.public_id, unique=True)),
                ('kind', models.CharField(max_length=20)),
                ('until', models.DateTimeField(null=True)),
                ('filters', models.JSONField(default=dict)),
                ('members', models.BinaryField()),
                ('people', models.BigIntegerField()),
                ('state', models.CharField(default='preview', max_length=10)),
                ('actor', models.CharField(max_length=80)),
                ('created_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('cursor', models.BigIntegerField(default=-1)),
                ('untouched', models.BinaryField(default=bytes)),
                ('changed', models.BigIntegerField(default=0)),
                ('already', models.BigIntegerField(default=0)),
                ('left_out', models.BigIntegerField(default=0)),
                ('undo_cursor', models.BigIntegerField(default=-1)),
                ('undone', models.BigIntegerField(default=0)),
                ('kept', models.BigIntegerField(default=0)),
                ('job', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='platform.jobrun')),
                ('org_node', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='platform.orgnode')),
                ('tag', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='customers.tag')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='BulkBefore',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tag', models.CharField(blank=True, max_length=64)),
                ('until', models.DateTimeField(null=True)),
                ('members', models.BinaryField()),
                ('change', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='before', to='customers.bulkchange')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('change', 'tag', 'until'), name='bulk_before_once', nulls_distinct=False)],
            },
        ),
    ]
