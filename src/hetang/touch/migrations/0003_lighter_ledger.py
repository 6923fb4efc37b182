"""What a plan of a million people writes most: no index that nobody asks, room for counts that grow, sets as they are."""

from django.db import migrations

FORWARD = """
-- Touches are found by task or by customer; their identity is generated, and their key is that of touch_key.
alter table touch_touch drop constraint touch_touch_pkey;
alter table touch_plansender set (fillfactor = 50);
-- Roaring sets are compressed already.
alter table touch_plangroup alter column members set storage external;
"""
BACK = """
alter table touch_touch add primary key (id, planned_at);
alter table touch_plansender reset (fillfactor);
alter table touch_plangroup alter column members set storage extended;
"""


class Migration(migrations.Migration):
    dependencies = [("touch", "0002_ledger")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
