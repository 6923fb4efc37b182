"""What campaigns, broadcasts and the governor say to people: codes to sentences in the current language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hetang.campaigns.errors import Problem
from hetang.console.figures import number
from hetang.touch.errors import TouchError
from hetang.touch.models import Programme

Text = str | Promise

REASONS: dict[str, tuple[Text, Text]] = {
    "no_consent": (_("No consent"), _("Has not agreed to marketing by this channel, or withdrew.")),
    "no_basis": (
        _("Consent: basis missing"),
        _("Agreed to marketing by this channel, but nobody has said on which legal basis."),
    ),
    "minor": (_("Under fourteen"), _("No guardian has agreed to marketing.")),
    "objected": (_("Personalisation off"), _("Objects to being chosen by what is known of her, as this audience is.")),
    "do_not_disturb": (_("Do not disturb"), _("Asked to be left alone.")),
    "capped": (_("Frequency cap reached"), _("Would get more messages than the caps allow.")),
    "quiet": (_("Quiet until later"), _("Asked for quiet until a later day, or the slot lies in quiet hours.")),
    "unreachable": (_("Unreachable"), _("No active friend among the advisers, or erased.")),
    "control": (_("Control group (not sent)"), _("Drawn at random from those left, to measure the effect.")),
    "": (_("Will be sent"), ""),
}
# Why nobody is left, and what to do about it.
NOBODY: dict[str, tuple[Text, Text]] = {
    "no_consent": (
        REASONS["no_consent"][0],
        _("Choose customers who have agreed to marketing by this channel, or ask for their consent first."),
    ),
    "no_basis": (
        REASONS["no_basis"][0],
        _("State the legal basis of these consents in the register of consents, by source or on a customer's page."),
    ),
    "minor": (REASONS["minor"][0], _("They are under fourteen: choose grown-ups, or note a guardian's consent first.")),
    "objected": (
        REASONS["objected"][0],
        _("They do not want to be chosen by what is known of them: write to everybody of a store instead."),
    ),
    "do_not_disturb": (REASONS["do_not_disturb"][0], _("They asked to be left alone: choose other customers.")),
    "capped": (REASONS["capped"][0], _("Choose a later time, or look at the frequency caps.")),
    "quiet_hours": (_("Quiet hours"), _("The planned time lies in quiet hours: choose one after {until}.")),
    "quiet": (_("Asked for quiet until later"), _("Choose a later day, or other customers.")),
    "unreachable": (
        REASONS["unreachable"][0],
        _("No adviser here has them as a friend: choose other customers, or let advisers add them first."),
    ),
    "control": (REASONS["control"][0], _("The control group took everybody who was left: make it smaller.")),
}
STATES: dict[str, tuple[Text, str]] = {
    "planned": (_("Planned"), ""),
    "held": (_("Held by the pause"), "warn"),
    "claimed": (_("Being handed over"), "info"),
    "tasked": (_("Waiting for staff to confirm"), "info"),
    "unknown": (_("State being verified"), "warn"),
    "sent": (_("Sent"), "good"),
}
LOSSES: dict[tuple[str, str], Text] = {
    ("failed", "not_friend"): _("Not a friend any more"),
    ("failed", "platform_limit"): _("Platform's receiving limit reached"),
    ("failed", "refused"): _("Platform refused the task"),
    ("expired", "unconfirmed"): _("Not sent (expired, never confirmed)"),
    ("cancelled", "cancelled"): _("Cancelled"),
    ("cancelled", "quiet_hours"): _("Withdrawn for quiet hours"),
    ("cancelled", "capped"): _("Frequency cap reached when planned again"),
    ("cancelled", "withdrawn"): _("Withdrew consent after planning"),
}
PROGRAMME: dict[str, tuple[Text, str]] = {
    Programme.PLANNING: (_("Planning"), "info"),
    Programme.RUNNING: (_("Running"), "accent"),
    Programme.PAUSED: (_("Paused"), "warn"),
    Programme.CANCELLING: (_("Being cancelled"), "warn"),
    Programme.CANCELLED: (_("Cancelled"), "bad"),
    Programme.DONE: (_("Finished"), "good"),
}
PROBLEMS: dict[str, Text] = {
    "name_missing": _("Give it a name."),
    "period_reversed": _("The last day must not be before the first."),
    "budget_negative": _("The budget must not be negative."),
    "already_sent": _("It has been confirmed meanwhile and cannot be changed any more."),
    "variants_count": _("Write one to {limit} texts."),
    "variants_needed": _("A comparison needs two texts or more. Add a text, or choose one text for all."),
    "design_needed": _("With several texts, choose how they are shared out: by adviser or by customer."),
    "text_missing": _("Write the text."),
    "text_too_long": _("The text has {bytes} bytes; {limit} are allowed here (a Chinese character has three)."),
    "text_characters": _("The text holds a character that cannot be sent. Type it again."),
    "no_variables": _(
        "“{found}” looks like a personal variable. A WeCom mass message has one text for everybody, so it would be sent"
        " as it stands. Write a text that fits all, or split the audience."
    ),
    "attachments_count": _("At most {limit} attachments are possible."),
    "attachment_kind": _("This kind of attachment is not possible."),
    "image_missing": _("The picture was not uploaded. Choose it again."),
    "image_size": _(
        "“{name}” has {actual} MB; WeCom takes at most {megabytes} MB. Make it smaller and choose it again."
    ),
    "image_kind": _("“{name}” is not a JPG or PNG picture. Save it as JPG or PNG and choose it again."),
    "image_empty": _("“{name}” is empty. Choose another picture."),
    "image_broken": _("“{name}” is damaged: it cannot be opened. Export it again and choose the new file."),
    "image_pixels": _("“{name}” has more than {megapixels} million pixels. Make it smaller and choose it again."),
    "image_refused": _("WeCom did not take “{name}” ({detail}). Try again, or check the connection."),
    "link_title_missing": _("Give the link card a title."),
    "link_field_too_long": _("The link card's {field} is longer than {limit} bytes. Shorten it."),
    "weight_range": _("A text's part must be a whole number from 1 to 100."),
    "target_missing": _("Enter the address to which the message leads. Each task gets a short link of its own to it."),
    "target_invalid": _("The address must begin with https:// or http://."),
    "slot_past": _("This time is past. Choose a later one, or send as soon as it is confirmed."),
    "slot_too_far": _("At most {days} days ahead are possible."),
    "out_of_range": _("Enter a number from {low} to {high}."),
    "audience_gone": _("This audience is not available any more. Choose another one."),
    "dry_run_needed": _("Make the split first: it shows who gets the message and who does not."),
    "dry_run_old": _("The split is older than {minutes} minutes. Make it again, since people have moved meanwhile."),
    "nobody_left": _("None of the {audience} customers of the audience is left to send to. {reasons}. {remedy}"),
    "audience_empty": _("There is nobody in the audience now, so there is nobody to send to. Look at its rules."),
    "approval_needed": _("More than {over} people: somebody else must approve it before you can send it."),
    "approval_waiting": _("It waits for approval. You can send it as soon as somebody has approved it."),
    "approval_refused": _("It was refused. Change it, then ask again."),
    "approval_changed": _("It has changed since it was approved. Ask again."),
    "approval_too_many": _("{approved} people were approved and it would go to {size} now. Ask again."),
    "approval_over": _("The approval was used or taken back meanwhile. Look at it again."),
    "not_sent_yet": _("It has not been confirmed yet."),
    "not_running": _("It is not running, so there is nothing to pause."),
    "not_paused": _("It is not paused."),
    "not_open": _("It is already over."),
    "channel_missing": _("The channel {channel} is not connected. Connect it in the settings."),
    "cap_invalid": _("A cap needs 1 to 100 messages and 1 to 60 days."),
    "cap_twice": _("There are two caps for the same channel and number of days. Keep one."),
    "date": _("Enter the time as 2026-01-31 09:30."),
    "required": _("This is needed."),
}


def sentence(problem: Problem | TouchError) -> str:
    """The sentence for a problem, in the current language."""
    if problem.code == "nobody_left":
        return _nobody_left(problem.detail)
    text = str(PROBLEMS.get(problem.code, gettext("This cannot be done now ({code}).")))
    return text.format_map({"code": problem.code} | problem.detail)


@dataclass(frozen=True)
class Missed:
    """People who do not get it for one reason, and what to do about it."""

    label: Text
    people: int
    remedy: str


def missed(detail: dict[str, Any]) -> list[Missed]:
    """Why nobody is left, by reason, from the detail of the problem "nobody_left"."""
    until = detail["quiet_until"]
    when = timezone.localtime(until).strftime("%Y-%m-%d %H:%M") if until else ""
    return [
        Missed(NOBODY[code][0], people, str(NOBODY[code][1]).format(until=when)) for code, people in detail["reasons"]
    ]


def _nobody_left(detail: dict[str, Any]) -> str:
    """Each reason with its people, and what to do about the one that holds for most."""
    reasons = missed(detail)
    if not reasons:
        return str(PROBLEMS["audience_empty"])
    counted = [gettext("{reason}: {people}").format(reason=one.label, people=number(one.people)) for one in reasons]
    remedy = max(reasons, key=lambda one: one.people).remedy
    said = {"audience": number(detail["audience"]), "reasons": gettext("; ").join(counted), "remedy": remedy}
    return str(PROBLEMS["nobody_left"]).format_map(said)


def by_field(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """Sentences by the field that they belong to; "" is the whole form."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.field, []).append(sentence(problem))
    return found


def loss(state: str, reason: str) -> Text:
    """What became of people who did not get it."""
    return LOSSES.get((state, reason)) or STATES.get(state, (reason or state, ""))[0]


def badge_of(state: str, known: dict[Any, tuple[Text, str]]) -> dict[str, Any]:
    """Text and tone of a state."""
    text, tone = known.get(state, (state, ""))
    return {"text": text, "tone": tone}
