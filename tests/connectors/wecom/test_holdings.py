"""What the connector keeps of a person goes with her, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hetang.connectors.wecom import holdings
from hetang.connectors.wecom.models import (
    Avatar,
    Corp,
    CorpNotice,
    Handover,
    HandoverItem,
    MassMessage,
    MassReceipt,
    Unassigned,
)
from hetang.platform import clock, organisation
from hetang.platform.holdings import Named, Person
from hetang.platform.sealing import seal
from hetang.resources.models import Staff

HERS, OTHERS = "wmhers", "wmothers"


@pytest.fixture
def corp(db: None) -> Corp:
    now = clock.now()
    corp = Corp.objects.create(corpid="ww1", created_at=now)
    root = organisation.root()
    giver = Staff.objects.create(userid="leaver", name="Leaver", org_node=root)
    handover = Handover.objects.create(
        corp=corp, giver=giver, org_node=root, kind=Handover.LEFT, rule=Handover.ONE, actor="tester", created_at=now
    )
    message = MassMessage.objects.create(corp=corp, msgid="m1", made_at=now)
    for key in (HERS, OTHERS):
        Avatar.objects.create(external_userid=key, state=Avatar.KEPT, picture=seal(b"jpeg"), wanted_at=now)
        Unassigned.objects.create(corp=corp, userid="leaver", external_userid=key, left_at=now, seen_at=now)
        HandoverItem.objects.create(handover=handover, corp=corp, kind=HandoverItem.CUSTOMER, key=key)
        MassReceipt.objects.create(message=message, key=key, sent_at=now, sent_on=now.date())
        CorpNotice.objects.create(
            corp=corp, kind="customer_transfer_failed", at=now, detail={"ExternalUserID": key, "UserID": "leaver"}
        )
    return corp


def test_avatar_hand_over_receipts_and_notices_go_with_her(corp: Corp) -> None:
    at = clock.now() + timedelta(seconds=1)
    her = Person(("p",), (1,), (Named("external_userid", HERS, (HERS,)),), (0, 0, 0), at)
    held = holdings.HOLDINGS[0]
    assert held.count(her) == 5
    assert held.erase(her, lambda: None) == 5
    assert held.count(her) == 0
    left = [
        *Avatar.objects.values_list("external_userid", flat=True),
        *Unassigned.objects.values_list("external_userid", flat=True),
        *HandoverItem.objects.values_list("key", flat=True),
        *MassReceipt.objects.values_list("key", flat=True),
        *(notice.detail["ExternalUserID"] for notice in CorpNotice.objects.all()),
    ]
    assert left == [OTHERS] * 5
