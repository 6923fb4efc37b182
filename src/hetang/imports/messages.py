"""What imports say to people: why a row, a file or a step was refused, what was noticed, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext, gettext_lazy, gettext_noop, ngettext_lazy

from hetang.facts.messages import refusal_text
from hetang.imports.targets import Target

PROBLEM_HEADINGS = (
    gettext_lazy("Row"),
    gettext_lazy("Field"),
    gettext_lazy("Value (masked where personal)"),
    gettext_lazy("Reason"),
    gettext_lazy("What to do"),
)

# code -> (reason, remedy)
_PROBLEMS = {
    "ragged_row": (
        gettext_noop("The row has %(cells)s cells, the header has %(columns)s."),
        gettext_noop("Look for a separator inside a value: put such values in quotation marks."),
    ),
    "empty": (gettext_noop("A required value is missing."), gettext_noop("Fill the cell in.")),
    "broken_text": (
        gettext_noop("Some characters are unreadable."),
        gettext_noop("Save the file as UTF-8 or GB18030 and choose that encoding."),
    ),
    "too_long": (
        gettext_noop("The value is too long."),
        gettext_noop("Shorten it, or check that the column is right."),
    ),
    "not_a_number": (
        gettext_noop("This is not a number."),
        gettext_noop("Write it like 1234.50, or choose the decimal mark that the file uses."),
    ),
    "too_large": (
        gettext_noop("The number is too large."),
        gettext_noop("Check whether amounts are in yuan or in fen, and whether the column is right."),
    ),
    "not_a_time": (
        gettext_noop("This is not a time of the chosen format."),
        gettext_noop("Correct the cell, or choose the time format that the file uses."),
    ),
    "time_out_of_range": (
        gettext_noop("The time lies before 1990 or far in the future."),
        gettext_noop("Check the time format and unit."),
    ),
    "not_yes_no": (gettext_noop("This is neither yes nor no."), gettext_noop("Write 是 or 否, yes or no, 1 or 0.")),
    "bad_channel": (
        gettext_noop("A channel code has letters, digits, dots and dashes only."),
        gettext_noop("Write a code such as store or mini_program."),
    ),
    "not_country": (gettext_noop("This is not a country code."), gettext_noop("Write two letters such as CN.")),
    "unknown_time_zone": (
        gettext_noop("This time zone does not exist."),
        gettext_noop("Write a name such as Asia/Shanghai."),
    ),
    "not_a_coordinate": (
        gettext_noop("This is not a coordinate in degrees."),
        gettext_noop("Write decimal degrees such as 31.230416."),
    ),
    "unknown_datum": (
        gettext_noop("This is not a coordinate system that is known."),
        gettext_noop("Write WGS-84, GCJ-02 or BD-09."),
    ),
    "swapped_coordinates": (
        gettext_noop("Latitude and longitude seem to be swapped."),
        gettext_noop("Choose the other column for each of the two, or correct the row."),
    ),
    "outside_country": (
        gettext_noop("The position lies outside the country."),
        gettext_noop("Correct the coordinates or the country."),
    ),
    "out_of_range": (
        gettext_noop("There is no such place: a latitude is at most 90 degrees."),
        gettext_noop("Correct the coordinates, or leave both cells empty."),
    ),
    "half_a_place": (
        gettext_noop("One of the two coordinates is missing."),
        gettext_noop("Fill in latitude and longitude, or neither."),
    ),
    "null_island": (
        gettext_noop("The coordinates 0, 0 stand for an unknown position."),
        gettext_noop("Leave both cells empty, or write the true coordinates."),
    ),
    "no_datum": (
        gettext_noop("Nothing says in which system the coordinates are."),
        gettext_noop("Write WGS-84, GCJ-02 or BD-09: GCJ-02 is what Amap, Tencent and WeChat give, BD-09 Baidu."),
    ),
    "nobody_named": (
        gettext_noop("The row names nobody."),
        gettext_noop("Give a member number, phone or another identity."),
    ),
    "nothing_refunded": (gettext_noop("The refunded amount is zero."), gettext_noop("Leave the row out.")),
    "other_line_refused": (
        gettext_noop("Another line of this order was refused; a part of an order is not imported."),
        gettext_noop("Correct the other line and import the file again."),
    ),
    "order_of_two_people": (
        gettext_noop("The lines of this order name different people."),
        gettext_noop("Check that the order number column is right."),
    ),
    "not_a_date": (
        gettext_noop("This is not a date."),
        gettext_noop("Write it like 1990-05-17, or leave the cell empty."),
    ),
    "day_without_year": (
        gettext_noop("The day has no year: no age can be told by it."),
        gettext_noop("Write it like 2024-02-29, or leave the cell empty."),
    ),
    "day_out_of_range": (
        gettext_noop("The day lies before 1900 or after 2199."),
        gettext_noop("Correct the year, or leave the cell empty."),
    ),
    "day_too_far": (
        gettext_noop("The day lies more than ten months ahead: no child is due then."),
        gettext_noop("Correct the year, or leave the cell empty."),
    ),
    "born_in_future": (
        gettext_noop("The birthday of a partner or parent lies in the future."),
        gettext_noop("Correct the year, or say who it is: only of a child to come is the due date noted."),
    ),
    "due_of_another": (
        gettext_noop("Birthday and due date lie more than four months apart: they are of two children."),
        gettext_noop("Choose the column of the due date for the next household member."),
    ),
    "child_without_day": (
        gettext_noop("A child has a name or sex, but neither a birthday nor a due date."),
        gettext_noop("Fill in one of the two days, or leave the other cells of this child empty as well."),
    ),
    "unknown_member_kind": (
        gettext_noop("This is nobody of a household that is known."),
        gettext_noop("Write 孩子, 伴侣, 父母, 宠物 or 其他, or in English child, partner, parent, pet or other."),
    ),
    "unknown_sex": (
        gettext_noop("This is neither female nor male."),
        gettext_noop("Write 女 or 男, female or male, or leave the cell empty."),
    ),
    "unknown_store": (
        gettext_noop("The store is not known."),
        gettext_noop("Import the stores first, then this file again."),
    ),
}
_HELD = gettext_noop("It is kept under Operations → held facts and can be replayed from there.")

_REFUSALS = {
    "empty_file": gettext_noop("The file is empty. Choose a file with a header row and at least one row of data."),
    "damaged_file": gettext_noop(
        "The file cannot be read. Open it in the program it comes from, save it as CSV, Excel or Parquet, "
        "and try again."
    ),
    "unknown_encoding": gettext_noop("The encoding “%(encoding)s” is not known. Choose one from the list."),
    "row_too_long": gettext_noop(
        "A row is longer than %(limit_mb)s MB. Most often a quotation mark was opened and never closed: search for it."
    ),
    "too_many_columns": gettext_noop("The file has more than %(limit)s columns. Delete those that are not needed."),
    "unpacks_too_large": gettext_noop(
        "Unpacked, this workbook is unusually large (limit %(limit_mb)s MB). Save the sheet as CSV and import that."
    ),
    "no_such_sheet": gettext_noop("There is no sheet “%(sheet)s” in the workbook. Choose another one."),
    "file_too_large": gettext_noop(
        "The file is larger than %(limit_mb)s MB. Put it into an import folder on the server and choose it there."
    ),
    "no_file": gettext_noop("Choose a file first."),
    "path_not_allowed": gettext_noop("Files are imported only from these folders of the server: %(folders)s."),
    "no_such_file": gettext_noop("There is no file %(path)s."),
    "mapping_malformed": gettext_noop("The column mapping cannot be read: %(problem)s."),
    "column_missing": gettext_noop("The file has no column “%(column)s” (field %(field)s). Choose another column."),
    "unknown_field": gettext_noop("There is no field “%(field)s”."),
    "field_unmapped": gettext_noop("Choose a column for the required field “%(field)s”."),
    "one_of_unmapped": gettext_noop("Choose a column for at least one of these fields: %(fields)s."),
    "datum_undeclared": gettext_noop(
        "Say in which system the coordinates are: choose a column for “Coordinate system”, or write WGS-84, GCJ-02"
        " (Amap, Tencent, WeChat) or BD-09 (Baidu) there for all rows."
    ),
    "unknown_datum": gettext_noop(
        "“%(datum)s” is no coordinate system that is known. Write WGS-84, GCJ-02 (Amap, Tencent, WeChat) or BD-09"
        " (Baidu)."
    ),
    "bad_source": gettext_noop(
        "The name of the source may have lower-case letters, digits, dots, dashes and underscores, at most 60."
    ),
    "unknown_time_format": gettext_noop("Choose a time format from the list."),
    "unknown_money_format": gettext_noop("Choose a money format from the list."),
    "other_currency": gettext_noop(
        "The file is in %(file)s, the brand counts in %(brand)s. Convert the amounts first."
    ),
    "unknown_basis": gettext_noop("Choose purpose, channel and legal basis from the lists."),
    "text_version_missing": gettext_noop(
        "Consent needs the version of the text that people agreed to, so that it can be proven later."
    ),
    "unknown_target": gettext_noop("Choose what the file contains."),
    "preset_without_name": gettext_noop("Give the preset a name."),
    "preset_of_other_target": gettext_noop("This preset is for another kind of file."),
    "not_checked": gettext_noop("Check the file first; then it can be run."),
    "warnings_unconfirmed": gettext_noop("Confirm every warning first, or correct the file and upload it again."),
    "wrong_state": gettext_noop("This does not fit the import's present state. Reload the page."),
    "partly_written": gettext_noop(
        "A part of this file is written already under the present mapping. Continue it, or upload the file anew."
    ),
    "busy": gettext_noop("Another process is working on this import. Wait a moment."),
    "file_gone": gettext_noop(
        "The uploaded file is not kept any more: its time was over, or somebody named in it was erased. Upload it"
        " again."
    ),
    "file_changed": gettext_noop("The file on the server changed since it was chosen. Choose it again."),
    "nothing_to_cancel": gettext_noop("There is nothing to cancel."),
    "unexpected": gettext_noop(
        "The import stopped on an error of the system (%(problem)s). What was written stays; you can continue it. "
        "If it happens again, tell the administrator: the log has the details."
    ),
}

_WARNINGS: dict[str, str | Promise] = {
    "header_spaces": ngettext_lazy(
        "%(count)s header name begins or ends with spaces or holds invisible characters: "
        "“%(first)s”. Other files of this source may lack them: check the mapping.",
        "%(count)s header names begin or end with spaces or hold invisible characters (first: "
        "“%(first)s”). Other files of this source may lack them: check the mapping.",
        "count",
    ),
    "duplicate_headers": ngettext_lazy(
        "%(count)s column has the name of another (“%(first)s”). Check that the mapping uses the right one.",
        "%(count)s columns share a name (first: “%(first)s”). Check that the mapping uses the right one.",
        "count",
    ),
    "duplicate_keys": ngettext_lazy(
        "%(count)s row repeats a key that stands in another row. The later row counts; the earlier one is overwritten.",
        "%(count)s rows repeat a key that stands in another row. The later row counts; the earlier one is overwritten.",
        "count",
    ),
    "swapped_coordinates": ngettext_lazy(
        "%(count)s store seems to have latitude and longitude swapped. Swap the columns, or go "
        "on: the coordinates of this store are then left empty.",
        "%(count)s stores seem to have latitude and longitude swapped. Swap the columns, or go "
        "on: the coordinates of these stores are then left empty.",
        "count",
    ),
    "outside_country": ngettext_lazy(
        "%(count)s store lies outside its country. If you go on, its coordinates are left empty.",
        "%(count)s stores lie outside their country. If you go on, their coordinates are left empty.",
        "count",
    ),
    "out_of_range": ngettext_lazy(
        "%(count)s store lies nowhere on earth. If you go on, its coordinates are left empty.",
        "%(count)s stores lie nowhere on earth. If you go on, their coordinates are left empty.",
        "count",
    ),
    "half_a_place": ngettext_lazy(
        "%(count)s store has only one of two coordinates. If you go on, it is left out.",
        "%(count)s stores have only one of two coordinates. If you go on, it is left out.",
        "count",
    ),
    "null_island": ngettext_lazy(
        "%(count)s store has the coordinates 0, 0. If you go on, they are left empty.",
        "%(count)s stores have the coordinates 0, 0. If you go on, they are left empty.",
        "count",
    ),
    "no_datum": ngettext_lazy(
        "%(count)s store has coordinates without their coordinate system. If you go on, they are left empty.",
        "%(count)s stores have coordinates without their coordinate system. If you go on, they are left empty.",
        "count",
    ),
    "stores_changed": ngettext_lazy(
        "Of %(in_file)s store codes in the file only %(both)s is known (the brand has %(known)s "
        "stores). Were the stores renumbered, or is this another brand's file? If you go on, "
        "orders will not find their stores.",
        "Of %(in_file)s store codes in the file only %(both)s are known (the brand has %(known)s "
        "stores). Were the stores renumbered, or is this another brand's file? If you go on, "
        "orders will not find their stores.",
        "both",
    ),
    "unknown_stores": ngettext_lazy(
        "%(count)s store code is not known (%(first)s). Import the stores first; otherwise its "
        "rows are held and must be replayed.",
        "%(count)s store codes are not known (%(first)s). Import the stores first; otherwise "
        "these rows are held and must be replayed.",
        "count",
    ),
    "unknown_tags": gettext_noop(
        "Tags that do not exist yet: %(count)s (%(first)s). If you go on, they are made in the group “Imported tags”."
    ),
    "too_many_tags": gettext_noop(
        "Tags that do not exist yet: %(count)s (%(first)s …). So many are hardly tags: check that the column is right. "
        "If you go on, they are held and must be replayed."
    ),
    "children": ngettext_lazy(
        "%(count)s child under fourteen, or not born yet, is in the file. Data of children are sensitive: go on only if"
        " a guardian agreed; otherwise take their columns out of the mapping.",
        "%(count)s children under fourteen, or not born yet, are in the file. Data of children are sensitive: go on"
        " only if their guardians agreed; otherwise take their columns out of the mapping.",
        "count",
    ),
    "odd_phones": gettext_noop(
        "Phone numbers that look incomplete: %(count)s. Correct them in the file, or go on: "
        "they are kept as they are written."
    ),
    "nothing_usable": gettext_noop("No row can be imported. Check the mapping and the formats."),
}


def problem(code: str, detail: Mapping[str, object]) -> tuple[str, str]:
    """Reason and remedy of a row that was not taken. Codes `fact.…` were refused by the door of the fact log."""
    if code.startswith("fact."):
        return refusal_text(code.removeprefix("fact."), detail), gettext(_HELD)
    reason, remedy = _PROBLEMS.get(code, (code, ""))
    return gettext(reason) % detail, gettext(remedy) if remedy else ""


def refusal(code: str, parameters: Mapping[str, object]) -> str:
    """Why a file or a step was refused and what to do."""
    return _filled(_REFUSALS.get(code), code, parameters)


def warning(code: str, parameters: Mapping[str, object]) -> str:
    """What was noticed before it could do harm."""
    return _filled(_WARNINGS.get(code), code, parameters)


def field_label(target: Target, name: str) -> str:
    """What a field is called in the current language; the attribute's code for attributes."""
    if ":" in name:
        return name.partition(":")[2]
    for field in target.fields:
        if field.name == name:
            return field.label_zh if (get_language() or "").startswith("zh") else field.label_en
    return name


def target_label(target: Target) -> str:
    """What a target is called in the current language."""
    return target.label_zh if (get_language() or "").startswith("zh") else target.label_en


def _filled(template: str | Promise | None, code: str, parameters: Mapping[str, object]) -> str:
    if template is None:
        return code
    if isinstance(template, Promise):  # one or many, by the count among the parameters
        return str(template % parameters)
    try:
        return gettext(template) % parameters
    except KeyError:
        return gettext(template)
