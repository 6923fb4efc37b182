"""What can be refused, and the sentences for it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hetang.audiences.rules import Problem
from hetang.platform.engine_client import EngineUnavailable, ServiceError


class AudienceError(Exception):
    """A verb was refused."""


class NameTaken(AudienceError):
    """Another audience of the same place has this name."""


class OutsideScope(AudienceError):
    """The audience, or the place it is to belong to, lies outside the actor's scope."""


class StaleVersion(AudienceError):
    """Somebody else saved or archived it meanwhile."""


class AudienceInUse(AudienceError):
    """Other audiences are made from it (`names`), something not yet done needs it (`waiting`), it keeps `tags`, or
    sets of `ponds` have it."""

    def __init__(
        self, names: Sequence[str], waiting: Sequence[str] = (), tags: Sequence[str] = (), ponds: Sequence[str] = ()
    ) -> None:
        super().__init__(", ".join([*names, *waiting, *tags, *ponds]))
        self.names = list(names)
        self.waiting = list(waiting)
        self.tags = list(tags)
        self.ponds = list(ponds)


class InvalidPonds(AudienceError):
    """What is wrong with a pond set: (position of the pond or None, code of `POND_MESSAGES`)."""

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        super().__init__(", ".join(f"{place}: {code}" for place, code in problems))
        self.problems = list(problems)


class PondsGone(AudienceError):
    """Audiences (`names`) of an archived pond set, or named by its rules, are archived too."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = list(names)


class PondInUse(AudienceError):
    """Rules of audiences (`names`) ask for a pond that would go."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = list(names)


class NotWholeBrand(AudienceError):
    """Only an audience of the whole brand can keep a tag: a store's own would take it off everybody else."""


class TagInUse(AudienceError):
    """Rules of audiences (`names`) ask for the tag."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = list(names)


# Sentences for the codes of `rules.Problem`; parameters in braces.
MESSAGES: dict[str, str | Promise] = {
    "not_a_rule": _("This is not a rule: a JSON object with “version” and “rule” is needed."),
    "unknown_version": _("Version {version} of the rule language is not known here."),
    "too_deep": _("Groups are nested more than {limit} deep. Save the inner part as an audience and use that."),
    "too_many": _("A rule may have at most {limit} conditions."),
    "not_a_condition": _("A condition or a group is expected here."),
    "empty_group": _("This group is empty. Add a condition or remove the group."),
    "unknown_type": _("There is no condition of type “{type}”."),
    "unknown_field": _("“{field}” does not belong to this condition."),
    "missing": _("Choose or enter a value."),
    "not_an_option": _("“{value}” is not possible here. Choose one of: {options}."),
    "not_a_text": _("Enter a text of at most {limit} characters."),
    "not_a_list": _("Choose one value or more (at most {limit})."),
    "not_a_pair": _("Enter two values: from and to."),
    "no_hours_between": _("Between these hours there is no time: choose two different ones."),
    "wrong_way_round": _("The first value must not be larger than the second."),
    "not_a_number": _("Enter a number from {low} to {high}."),
    "not_a_date": _("“{value}” is not a date. Enter it as 2026-01-31."),
    "not_a_time": _("“{value}” is not a time of day. Enter it as 09:00."),
    "not_a_deed": _("Say what happened."),
    "two_periods": _("Choose days back from today or days of the calendar, not both."),
    "no_days_between": _("No day lies between: it must be more than one day less than {days}."),
    "not_a_boolean": _("Choose yes or no."),
    "store_or_node": _("Choose stores or a part of the organisation, not both."),
    "unknown_tag": _("The tag “{code}” does not exist (any more). Choose another one."),
    "unknown_attribute": _("The attribute “{code}” does not exist (any more). Choose another one."),
    "not_a_number_attribute": _("The attribute “{code}” is not a number, so nobody stands above another by it."),
    "not_a_share": _("Enter a share from 0.1 to 99.9 per cent, with one decimal at most."),
    "segments_or_scores": _("Choose segments or scores, not both."),
    "not_a_date_attribute": _("The attribute “{code}” is not a date."),
    "not_a_place": _("The attribute “{code}” is not a position."),
    "store_without_position": _(
        "It is not known where the store “{name}” is. Say it under Users and roles → Organisation, with its coordinate"
        " system, or import it."
    ),
    "not_a_distance": _("Write a distance from 0.01 to {limit} km."),
    "unknown_store": _("The store “{code}” does not exist."),
    "unknown_district": _(
        "The district or city “{code}” is not in your list, or has no centre. Choose another one, or import the list."
    ),
    "unknown_node": _("The part of the organisation “{code}” does not exist."),
    "unknown_staff": _("The member of staff “{code}” does not exist."),
    "unknown_group": _("The group chat “{code}” does not exist (any more)."),
    "unknown_category": _("The category “{code}” does not exist."),
    "unknown_product": _("The product “{code}” does not exist."),
    "unknown_campaign": _("The campaign “{code}” does not exist."),
    "unknown_broadcast": _("The broadcast “{code}” does not exist, or was not sent. Choose one that was."),
    "unknown_audience": _("The audience “{code}” does not exist (any more)."),
    "unknown_pond": _("The pond “{code}” does not exist (any more). Choose another one."),
    "unknown_stage_model": _("The life stage model “{code}” does not exist (any more). Choose another one."),
    "unknown_stage": _("The stage “{code}” does not belong to this model (any more). Choose another one."),
    "stage_model_has_no_such_date": _("“{name}” does not count from this date."),
    "broken_audience": _("The rule of the audience “{name}” can no longer be evaluated. Repair it first."),
    "broken_pond": _("The rule of the pond “{name}” can no longer be evaluated. Repair it first."),
    "tag_cycle": _("The tag “{tag}” is kept by the audience “{name}”, whose rule would ask for itself."),
    "tag_is_kept": _(
        "The tag “{tag}” is kept by the audience “{name}”, so nobody put it on at a time. "
        "Ask who came into that audience."
    ),
    "cycle": _("The audience “{name}” would contain itself."),
}

POND_MESSAGES: dict[str, str | Promise] = {
    "no_ponds": _("Add at least one pond: choose an audience or compose a rule, and give it a name."),
    "too_many": _("A pond set may have at most {limit} ponds. Put small ones together."),
    "name_missing": _("Give this pond a name of at most 80 characters."),
    "name_twice": _("Another pond of this set has this name."),
    "audience_missing": _("Choose the audience that says who is in this pond, or compose a rule."),
    "audience_unknown": _("This audience does not exist (any more). Choose another one."),
    "audience_twice": _("An earlier pond has this audience already: nobody would be left for this one."),
    "audience_cycle": _("The rule of this audience asks for a pond of this set, so it would ask for itself."),
    "audience_broken": _("The rule of this audience can no longer be evaluated. Repair it first."),
    "rule_cycle": _("The rule of this pond asks for itself, through a pond of this set or an audience. Change it."),
    "rule_broken": _("The rule of this pond cannot be evaluated. Change it: what is wrong is marked there."),
}


def message(problem: Problem) -> str:
    """The sentence for a problem, in the current language."""
    text = str(MESSAGES.get(problem.code, gettext("This part of the rule cannot be evaluated.")))
    return text.format_map(dict(problem.params))


def history_is_away(problem: Exception) -> bool:
    """Whether the columnar history, or the engine that asks it, did not answer (away, restarting, no address), not a
    fault of ours."""
    if isinstance(problem, ServiceError):
        return problem.code in {"history_unavailable", "database_unavailable"}
    if isinstance(problem, EngineUnavailable):
        return True
    module = type(problem).__module__
    return module.startswith(("clickhouse_connect", "urllib3")) or isinstance(problem, LookupError | OSError)
