"""Members and customers who write to each other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from hetang.simulator import acquisition, friendships, member_days, word_rules
from hetang.simulator.acts.people import Pair
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError


class Writing(Pair):
    """`after_minutes` is how long the customer waited for the member's answer."""

    by: Literal["customer", "staff"] = "customer"
    times: int = 1
    text: str = ""
    after_minutes: float = 1.0


@admin("write")
def write(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, by: customer | staff, times?, text?, after_minutes?}`: one writes to the other.

    The platform tells no event for it. Once a chat has begun, a welcome cannot be sent any more. Answers the word rules
    that a member's text met, `{rule, blocked}` each: what is blocked does not arrive.
    """
    wanted = convert(body, Writing)
    state, pair = running.state, (wanted.userid, wanted.external_userid)
    with state.transaction() as db:
        row = friendships.relation(db, *pair)
        if row is None or row["state"] not in {"full", "half"}:
            raise AdminError(404, "they are not friends: the message does not arrive")
        met = word_rules.check(db, row["userid"], wanted.text) if wanted.by == "staff" and wanted.text else []
        if any(one.blocked for one in met):
            return {"met": [asdict(one) for one in met]}
        if wanted.by == "staff":
            answers = row["received"] > row["written"]
            member_days.count(
                *(state, db, row["userid"]),
                messages=wanted.times,
                chats=0 if row["received"] or row["written"] else 1,
                answered=1 if answers else 0,
                minutes=wanted.after_minutes if answers else 0,
            )
        elif not row["received"] or row["received"] <= row["written"]:
            member_days.count(state, db, row["userid"], asked=1)
        if wanted.by == "customer":
            acquisition.customer_wrote(state, db, row, wanted.times)
        column = "written" if wanted.by == "staff" else "received"
        db.execute(
            f"update relation set {column} = {column} + ? where userid = ? and external_userid = ?",
            [wanted.times, *pair],
        )
    state.notify()
    return {"met": [asdict(one) for one in met]}
