"""A plan counts its tasks' people when it ends, and a task goes through states: with room on its page, neither writes an
index anew. What a plan keeps of its control group is sorted numbers that nobody looks into, hence not compressed."""

from django.db import migrations

FORWARD = """
alter table touch_sendtask set (fillfactor = 70);
alter table touch_planholdout alter column customers set storage external, alter column staff set storage external,
  alter column stores set storage external, alter column variants set storage external;
"""
BACK = """
alter table touch_sendtask reset (fillfactor);
alter table touch_planholdout alter column customers set storage extended, alter column staff set storage extended,
  alter column stores set storage extended, alter column variants set storage extended;
"""


class Migration(migrations.Migration):
    dependencies = [("touch", "0005_turns_at_reserving")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
