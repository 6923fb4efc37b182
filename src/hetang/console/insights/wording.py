"""What the console calls the parts of the tree, channels, presets, states of the ledger and reasons."""

from __future__ import annotations

from django.utils.translation import gettext as _

from hetang.console.figures import number
from hetang.experiments.estimates import NotMeasurable, Reason


def part_label(code: str) -> str:
    """A part of the GMV tree."""
    return {
        "visitors": _("Visitors (UV)"),
        "conversion": _("Conversion"),
        "buyers": _("Buyers"),
        "frequency": _("Frequency"),
        "order_value": _("Average order value"),
        "anonymous": _("Orders without a customer"),
        "refunds_only": _("Refunds without orders"),
    }[code]


def preset_label(code: str) -> str:
    """A named pair of periods."""
    return {
        "7d": _("Last 7 days"),
        "28d": _("Last 28 days"),
        "month": _("Month"),
        "quarter": _("Quarter"),
        "year": _("Year"),
    }[code]


def channel_label(code: str) -> str:
    """A sales channel; codes of the brand's own are shown as they are."""
    known = {
        "": _("No channel"),
        "store": _("Store"),
        "mini_program": _("Mini program"),
        "h5": _("H5 page"),
        "online": _("Online"),
        "wecom": _("WeCom"),
    }
    return known.get(code, code)


def exclusion_label(code: str) -> str:
    """Why somebody of the audience was left out."""
    return {
        "no_consent": _("No consent"),
        "no_basis": _("Consent: basis missing"),
        "minor": _("Under fourteen"),
        "objected": _("Personalisation off"),
        "do_not_disturb": _("Do not disturb"),
        "capped": _("Cap reached"),
        "quiet": _("Quiet hours"),
        "unreachable": _("Unreachable"),
    }.get(code, code)


def arm_label(name: str, variant: int = 0, variants: int = 1) -> str:
    """An arm of the broadcast."""
    if name == "control":
        return _("Control group (not sent)")
    return _("Variant %(number)s") % {"number": variant} if variants > 1 else _("To be sent")


def why_not(refusal: NotMeasurable, until: str) -> str:
    """Why there is no effect, and what would help. `until`: when the window ends."""
    values = {
        "treated": number(refusal.treated),
        "control": number(refusal.control),
        "needed": number(refusal.needed),
        "until": until,
    }
    sentences = {
        Reason.WINDOW_OPEN: _("Not measurable yet: orders count until %(until)s. The result appears here then."),
        Reason.NO_CONTROL: _(
            "Not measurable: this broadcast kept nobody back. Next time hold out a control group, a tenth for example."
        ),
        Reason.EMPTY_ARM: _("Not measurable: one of the groups has nobody in it."),
        Reason.TOO_FEW_PEOPLE: _(
            "Not measurable: %(treated)s and %(control)s people; each group needs %(needed)s at least."
            " Next time raise the share of the control group or choose a larger audience."
        ),
        Reason.TOO_FEW_OUTCOMES: _(
            "Too few purchases for an honest range: %(treated)s and %(control)s buyers; each group needs %(needed)s."
        ),
        Reason.TOO_FEW_CLUSTERS: _(
            "Not measurable: %(treated)s and %(control)s advisers; each text needs %(needed)s advisers at least."
        ),
        Reason.TOO_FEW_REACHED: _("Not measurable per person reached: hardly anybody was sent the message."),
    }
    return sentences[refusal.reason] % values
