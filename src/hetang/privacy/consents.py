"""The register of consents: on which basis people are written to, by purpose, channel and source; and the texts.

Counting reads every consent once (a second for a few millions) and writes a few lines, so it is done a few times a day
and the pages show the newest count. The history of one person is in her facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Sum

from hetang.customers import minors
from hetang.customers.models import NEEDS_BASIS, UNKNOWN_BASIS, Consent
from hetang.customers.services import PERSONALISATION
from hetang.platform import audit, clock
from hetang.platform.access import Actor
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import ConsentCount, ConsentText

JOB = "privacy.count_consents"
OLD = timedelta(hours=6)
TREND_DAYS = 30
OWN_PURPOSES = (minors.GUARDIAN, PERSONALISATION)  # they hold for every channel and are shown by themselves

_COUNTS = """
select c.purpose, c.channel, c.basis, c.source, c.text_version, c.given, count(*)
from customers_consent c join customers_customer k on k.number = c.customer_id
where k.merged_into_id is null and k.erased_at is null
group by 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True)
class Children:
    """Customers known to be under fourteen, and for how many of them a guardian agreed to marketing."""

    known: int
    agreed: int


def count() -> int:
    """Count now, as of today; returns how many lines there are. Two at once end as one."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        rows = cursor.fetchall()
    now, day = clock.now(), clock.today()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.consent_counts'))")
        ConsentCount.objects.filter(day=day).delete()
        ConsentCount.objects.bulk_create(
            ConsentCount(
                day=day,
                purpose=purpose,
                channel=channel,
                basis=basis,
                source=source,
                text_version=version,
                given=given,
                people=people,
                counted_at=now,
            )
            for purpose, channel, basis, source, version, given, people in rows
        )
    return len(rows)


def count_if_old() -> bool:
    """Count when the newest count is older than some hours; whether it did."""
    newest = counted_at()
    if newest is not None and newest > clock.now() - OLD:
        return False
    count()
    return True


def counted_at() -> datetime | None:
    """When the newest count was made."""
    found: datetime | None = ConsentCount.objects.aggregate(newest=Max("counted_at"))["newest"]
    return found


def any_known() -> bool:
    """Whether anybody said anything yet."""
    return Consent.objects.exists()


def lines(day: date) -> list[ConsentCount]:
    """The count of a day, the largest first within a purpose and channel."""
    return list(ConsentCount.objects.filter(day=day).order_by("purpose", "channel", "-given", "-people"))


def newest_day() -> date | None:
    """The day of the newest count."""
    found: date | None = ConsentCount.objects.aggregate(newest=Max("day"))["newest"]
    return found


def waits(one: ConsentCount) -> bool:
    """Whether these agreed and do not count, since nobody has said on which basis."""
    return one.given and one.purpose in NEEDS_BASIS and one.basis == UNKNOWN_BASIS


def trend(purpose: str) -> list[tuple[date, int, int]]:
    """(day, given, withdrawn) of a purpose over the last thirty counted days, the newest first. Given are those that
    count."""
    rows = ConsentCount.objects.filter(purpose=purpose, day__gt=clock.today() - timedelta(days=TREND_DAYS))
    if purpose in NEEDS_BASIS:
        rows = rows.exclude(given=True, basis=UNKNOWN_BASIS)
    found: dict[date, list[int]] = {}
    for day, given, people in rows.values_list("day", "given").annotate(sum=Sum("people")).order_by("-day"):
        found.setdefault(day, [0, 0])[0 if given else 1] = people
    return [(day, given, withdrawn) for day, (given, withdrawn) in found.items()]


def children() -> Children:
    """How many are known to be under fourteen today. Index scans over them alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*) from (select distinct u.customer_id from ({minors.UNDER_AGE}) u) c",
            {"born_after": minors.born_after(clock.today())},
        )
        known = int(cursor.fetchone()[0])
        cursor.execute(
            f"select count(*) from (select distinct u.customer_id from ({minors.WITHOUT_GUARDIAN}) u) c",
            {"born_after": minors.born_after(clock.today())},
        )
        return Children(known, known - int(cursor.fetchone()[0]))


# texts ----------------------------------------------------------------------------------------------------------------


def add_text(actor: Actor, version: str, purpose: str, zh_hans: str, en: str) -> ConsentText:
    """A new version of a text. Raises Forbidden, PrivacyRefused: version_missing, text_incomplete, version_taken."""
    actor.require("privacy:manage")
    version, zh_hans, en = version.strip(), zh_hans.strip(), en.strip()
    if not version:
        raise PrivacyRefused("version_missing")
    if not zh_hans or not en:
        raise PrivacyRefused("text_incomplete")
    try:
        with transaction.atomic():
            made = ConsentText(version=version, purpose=purpose, zh_hans=zh_hans, en=en, created_at=clock.now())
            made.created_by_id = actor.user_id
            made.save(force_insert=True)
            audit.record(actor, "consent_text.added", "consent_text", version, {"purpose": purpose})
    except IntegrityError as clash:
        raise PrivacyRefused("version_taken") from clash
    return made


def current_text(purpose: str) -> ConsentText | None:
    """The newest text of a purpose: what a customer is shown."""
    return ConsentText.objects.filter(purpose=purpose).order_by("-created_at", "-version").first()
