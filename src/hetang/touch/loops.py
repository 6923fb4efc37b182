"""The loops of this room that the worker runs."""

from __future__ import annotations

from hetang.platform.loops import Loop
from hetang.touch import dispatch as dispatching
from hetang.touch import outcomes as settling
from hetang.touch import planning as plans
from hetang.touch.models import Plan

IDLE_S = 0.5


def plan_once() -> float:
    """Carry the oldest open plan, dry runs too, to its end; a plan whose process died goes on from its cursors."""
    waiting = Plan.objects.filter(state=Plan.RUNNING).order_by("pk").first()
    if waiting is None:
        return IDLE_S
    plans.run(waiting)
    return 0.0


planning = Loop("planning", plan_once)
dispatch = Loop("dispatch", dispatching.run_once)
outcomes = Loop("outcomes", settling.run_once)
