"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Partitioned tables are made by SQL migrations, so Django's flush after a transactional test does not know them.
UNMANAGED = ["facts_fact", "facts_key", "facts_intake", "platform_auditentry", "touch_touch", "touch_key"]


@pytest.fixture(autouse=True)
def _empty_unmanaged_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    marker = request.node.get_closest_marker("django_db")
    if not (marker and marker.kwargs.get("transaction")) and "transactional_db" not in request.fixturenames:
        return
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select relname from pg_class where relname = any(%s)", [UNMANAGED])
        present = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"truncate {', '.join(present)}")
