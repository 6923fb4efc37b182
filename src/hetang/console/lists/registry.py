"""All declared lists by their code: who may open one may choose its columns and keep views of it."""

from __future__ import annotations

from hetang.console.audiences.views import TABLE as AUDIENCES
from hetang.console.audit.views import TABLE as AUDIT
from hetang.console.campaigns.campaigns import TABLE as CAMPAIGNS
from hetang.console.campaigns.composer import TABLE as BROADCASTS
from hetang.console.customers.bulk import TABLE as BULK_CHANGES
from hetang.console.customers.lists import TABLE as CUSTOMERS
from hetang.console.customers.review import TABLE as REVIEW
from hetang.console.exports.views import TABLE as EXPORTS
from hetang.console.groups.views import TABLE as GROUPS
from hetang.console.lists.tables import Table
from hetang.console.operations.held import TABLE as HELD
from hetang.console.operations.jobs import TABLE as JOBS
from hetang.console.privacy.requests import TABLE as REQUESTS

TABLES: dict[str, Table] = {
    table.code: table
    for table in (
        CUSTOMERS,
        GROUPS,
        REVIEW,
        BULK_CHANGES,
        AUDIENCES,
        CAMPAIGNS,
        BROADCASTS,
        AUDIT,
        EXPORTS,
        REQUESTS,
        JOBS,
        HELD,
    )
}
