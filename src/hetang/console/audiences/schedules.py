"""When an audience is refreshed by itself, in words."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hetang.audiences.models import Audience

# Value of the form's select: its label, as it stands after "refreshed".
WEEKDAYS: dict[str, str | Promise] = {
    "": gettext_lazy("every day"),
    "0": gettext_lazy("every Monday"),
    "1": gettext_lazy("every Tuesday"),
    "2": gettext_lazy("every Wednesday"),
    "3": gettext_lazy("every Thursday"),
    "4": gettext_lazy("every Friday"),
    "5": gettext_lazy("every Saturday"),
    "6": gettext_lazy("every Sunday"),
}


def told(audience: Audience) -> str:
    """`every Monday at 09:00`, `every minute`, or nothing where nobody refreshes it but people and broadcasts."""
    schedule = audience.schedule
    if schedule is None:
        return _("every minute") if audience.live else ""
    day = WEEKDAYS["" if schedule.weekday is None else str(schedule.weekday)]
    return _("%(day)s at %(time)s") % {"day": day, "time": f"{schedule.at:%H:%M}"}
