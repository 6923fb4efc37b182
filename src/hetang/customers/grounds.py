"""What counts as weak evidence that two customers are one person: too little to merge them, enough to look.

Declared here once. Each ground gives customers a key; those of one key are suspected, unless they are so many that the
key says nothing. Add one here, and the queue, the page and the settings know it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.customers import minors
from hetang.customers.evidence import LINKS_OF

COLLEAGUE = "colleague"  # no ground to be computed: somebody said so
COLLEAGUE_WEIGHT = 10


@dataclass(frozen=True)
class Ground:
    """`keyed` selects `(customer_id, key)`; more than `most` customers of one key are no evidence at all. `weight`
    orders the queue and adds up; only `usual` ones are looked for unless the brand chooses otherwise."""

    code: str
    label: str | Promise
    weight: int
    most: int
    keyed: str
    usual: bool = True


_NAMED = "c.name_key <> '' and c.merged_into_id is null and c.erased_at is null"
_BESIDE = f"""
select c.number as customer_id, c.name_key || chr(31) || {{value}} as key
from customers_customerattribute a join customers_customer c on c.number = a.customer_id where {_NAMED} and {{which}}
"""
_ADDRESS = r"lower(regexp_replace(a.value #>> '{}', '[\s,，.。、#-]', '', 'g'))"

GROUNDS: dict[str, Ground] = {
    one.code: one
    for one in (
        Ground(
            "contact",
            _("The same phone number or e-mail address, which several share"),
            weight=3,
            most=6,
            keyed=f"""
            select o.customer_id, t.id::text as key from customers_identity t
            cross join lateral ({LINKS_OF}) l join customers_identity o on o.id = l.other and not o.shared
            where t.shared and not t.placeholder and t.verdict = '' and t.kind in ('phone', 'email')
              and l.occurred_at is not null and not l.void
            """,
        ),
        Ground(
            "name_birthday",
            _("The same name and date of birth"),
            weight=4,
            most=4,
            keyed=_BESIDE.format(
                value="left(a.value #>> '{}', 10)",
                which=f"(a.code = '{minors.USUAL}' or a.code in"
                " (select d.code from customers_attributedefinition d where d.birth_date))"
                " and a.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}'",
            ),
        ),
        Ground(
            "name_address",
            _("The same name and address"),
            weight=4,
            most=4,
            keyed=_BESIDE.format(value=_ADDRESS, which=f"a.code = 'address' and length({_ADDRESS}) >= 5"),
        ),
        Ground(
            "name_store",
            _("The same name and home store (many people share a name: only for small brands)"),
            weight=1,
            most=3,
            keyed=f"select c.number as customer_id, c.name_key || chr(31) || c.home_store_id as key"
            f" from customers_customer c where {_NAMED} and c.home_store_id is not null",
            usual=False,
        ),
    )
}
