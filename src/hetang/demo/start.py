"""What `hetang demo` does before its processes start: the brand, the logins, and the loading as a job."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.db import transaction

from hetang.demo import source, users
from hetang.platform import brand, clock, jobs
from hetang.platform.models import Brand, JobRun
from hetang.resources.models import Store

BRAND_NAME = "荷塘演示超市"


class NotADemo(Exception):
    """The home holds a real brand: the demo never mixes with it."""


def prepare() -> None:
    """Make an empty home the demo's, print its logins, and plan the loading unless it is done or under way."""
    source.folder()
    establish()
    for login in users.create():
        who = f"{login.role} {login.place}".strip()
        print(f"demo login 演示账号: {login.username}  {login.password}  ({who})", flush=True)
    plan_loading()


@transaction.atomic
def establish() -> Brand:
    """The demo's brand: dollars, New York's days, moved by whole weeks to end yesterday at the latest.

    The shift is chosen once per home, by the clock of that day. Raises NotADemo.
    """
    found = Brand.objects.filter(id=1).first()
    if found is not None and not found.demo:
        raise NotADemo("this home holds a real brand; choose another one with --home")
    if found is None:
        found = Brand(id=1, name=BRAND_NAME, currency=source.CURRENCY, time_zone=source.TIME_ZONE, demo=True)
        if Store.objects.exists():
            raise NotADemo("this home holds data of no demo; choose another one with --home")
        found.demo_shift_days = source.shift_days(clock.local_day(clock.now(), ZoneInfo(source.TIME_ZONE)))
        found.save(force_insert=True)
        brand.forget()
    return found


def plan_loading() -> JobRun | None:
    """Enqueue `demo.load` unless a run of it is waiting, running or done."""
    under_way = (JobRun.WAITING, JobRun.RUNNING, JobRun.DONE)
    if JobRun.objects.filter(kind="demo.load", state__in=under_way).exists():
        return None
    return jobs.enqueue("demo.load", "Demo data", {})
