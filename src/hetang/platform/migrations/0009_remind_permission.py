from django.db import migrations

# Until now whoever could send could remind; a role of the brand's own that could goes on doing so.
REMIND = """
update platform_ownrole set permissions = permissions || '["campaigns:remind"]'::jsonb
where permissions ? 'campaigns:send' and not permissions ? 'campaigns:remind'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('platform', '0008_api_key_limits'),
    ]

    operations = [migrations.RunSQL(REMIND, migrations.RunSQL.noop)]
