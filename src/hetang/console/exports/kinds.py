"""What can be exported from the console. Every download of rows is declared here and leaves by `privacy.exports`."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext_lazy

from hetang.console.exports import connections, districts, figures, people, registers
from hetang.platform import approvals
from hetang.privacy.exports import ExportKind

_CUSTOMERS = ExportKind(
    "customers",
    gettext_lazy("Customers"),
    people.EXPORT,
    True,
    people.choose_customers,
    people.about_customers,
    people.sheet_of_customers,
    approvals.EXPORT,
)
KINDS = [
    _CUSTOMERS,
    replace(
        _CUSTOMERS,
        code="audience",
        label=gettext_lazy("Audience"),
        choose=people.choose_audience,
        about=people.about_audience,
        sheet=people.sheet_of_audience,
    ),
    ExportKind(
        "audit",
        gettext_lazy("Audit log"),
        "audit:view",
        True,
        registers.choose_audit,
        registers.about_audit,
        registers.sheet_of_audit,
        approvals.AUDIT_EXPORT,
    ),
    ExportKind(
        "board",
        gettext_lazy("GMV board"),
        "board:view",
        False,
        figures.choose_board,
        figures.about_board,
        figures.sheet_of_board,
    ),
    ExportKind(
        "report",
        gettext_lazy("Broadcast report"),
        "reports:view",
        False,
        figures.choose_report,
        figures.about_report,
        figures.sheet_of_report,
    ),
    ExportKind(
        "ponds",
        gettext_lazy("Flow between ponds"),
        "audiences:view",
        False,
        figures.choose_ponds,
        figures.about_ponds,
        figures.sheet_of_ponds,
    ),
    ExportKind(
        "import-problems",
        gettext_lazy("Rows that an import did not take"),
        "imports:run",
        False,
        registers.choose_problems,
        registers.about_problems,
        registers.sheet_of_problems,
    ),
    ExportKind(
        "districts",
        gettext_lazy("Districts"),
        "imports:run",
        False,
        districts.choose_districts,
        districts.about_districts,
        districts.sheet_of_districts,
    ),
    ExportKind(
        "wecom-skipped",
        gettext_lazy("What a sync with WeCom skipped"),
        "settings:edit",
        True,
        connections.choose_skipped,
        connections.about_skipped,
        connections.sheet_of_skipped,
    ),
    ExportKind(
        "consents",
        gettext_lazy("Consents"),
        "privacy:view",
        True,
        registers.choose_consents,
        registers.about_consents,
        registers.sheet_of_consents,
        approvals.REGISTER_EXPORT,
    ),
    ExportKind(
        "exports",
        gettext_lazy("Register of exports"),
        "privacy:view",
        False,
        registers.choose_all,
        registers.about_register,
        registers.sheet_of_register,
        approvals.REGISTER_EXPORT,
    ),
    ExportKind(
        "person",
        gettext_lazy("All that is held about one customer"),
        "customers:erase",
        True,
        people.choose_person,
        people.about_person,
        people.sheet_of_person,
    ),
]
