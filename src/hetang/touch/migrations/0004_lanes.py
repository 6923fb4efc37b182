"""Lanes of a plan, side by side, and who reserved last: by it a lane knows whether its split still holds."""

from django.db import migrations, models

# A plan under way goes on in one lane.
OPEN_PLANS = """
insert into touch_planlane (plan_id, number, cursor, until)
select id, 0, cursor, 4294967295 from touch_plan where state = 'running'
"""


class Migration(migrations.Migration):
    dependencies = [("touch", "0003_lighter_ledger")]
    operations = [
        migrations.CreateModel(
            name="Reserver",
            fields=[
                ("channel", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=40)),
                ("changes", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="PlanLane",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.SmallIntegerField()),
                ("cursor", models.BigIntegerField()),
                ("until", models.BigIntegerField()),
                ("plan", models.ForeignKey("touch.Plan", models.CASCADE, related_name="lanes")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("plan", "number"), name="plan_lane_once")],
            },
        ),
        migrations.RunSQL(OPEN_PLANS, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="plan", name="cursor"),
    ]
