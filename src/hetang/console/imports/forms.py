"""Forms of the import pages: the file, and what its columns mean."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from hetang.imports import messages, sources
from hetang.imports.mapping import LegalBasis, Mapping, Money
from hetang.imports.models import Import
from hetang.imports.targets import CUSTOMERS, RESOURCES, TARGETS
from hetang.platform.brand import brand

UPLOAD_LIMIT_MB = 512

TIME_FORMATS = [
    ("iso", "2026-03-31 18:05:00 (ISO)"),
    ("year_month_day", "2026/3/31 18:05"),
    ("chinese", "2026年3月31日 18:05"),
    ("day_month_year", gettext_lazy("31/3/2026 (day first)")),
    ("month_day_year", gettext_lazy("3/31/2026 (month first)")),
    ("compact", "20260331180500"),
    ("epoch_s", gettext_lazy("Unix seconds")),
    ("epoch_ms", gettext_lazy("Unix milliseconds")),
]
ENCODINGS = [("utf-8", "UTF-8"), ("gb18030", "GB18030 / GBK"), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252")]
DELIMITERS = [
    (",", gettext_lazy("comma ,")),
    (";", gettext_lazy("semicolon ;")),
    ("\t", gettext_lazy("tab")),
    ("|", gettext_lazy("bar |")),
]
PURPOSES = [
    ("marketing", gettext_lazy("Marketing")),
    ("service", gettext_lazy("Service")),
    ("transaction", gettext_lazy("Transaction")),
]
CHANNELS = [("wecom", gettext_lazy("WeCom")), ("sms", gettext_lazy("SMS")), ("email", gettext_lazy("E-mail"))]
BASES = [
    ("unknown", gettext_lazy("Unknown (nobody may be sent marketing)")),
    ("consent", pgettext_lazy("legal basis", "Consent")),
    ("contract", gettext_lazy("Performance of a contract")),
    ("legal_duty", gettext_lazy("Legal duty")),
    ("public_interest", gettext_lazy("Public interest")),
]


class FileForm(forms.Form):
    """What the file holds, and the file: uploaded, or one that lies in an import folder of the server."""

    target = forms.ChoiceField(label=gettext_lazy("What does the file contain?"))
    file = forms.FileField(
        label=gettext_lazy("File"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("CSV, Excel or Parquet with a header row. It is stored encrypted."),
    )
    path = forms.ChoiceField(label=gettext_lazy("Or a file on the server"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(target.name, messages.target_label(target)) for target in TARGETS.values()]
        self.fields["target"] = forms.ChoiceField(label=self.fields["target"].label, choices=choices)
        paths = [str(path) for path in sources.offered()]
        if paths:
            self.fields["path"] = forms.ChoiceField(
                label=self.fields["path"].label, choices=[("", "–"), *((path, path) for path in paths)], required=False
            )
        else:
            del self.fields["path"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        upload = values.get("file")
        if upload is not None and upload.size > UPLOAD_LIMIT_MB << 20:
            raise ValidationError(messages.refusal("file_too_large", {"limit_mb": UPLOAD_LIMIT_MB}))
        if upload is None and not values.get("path") and "file" not in self.errors:
            raise ValidationError(messages.refusal("no_file", {}))
        return values


class ConventionsForm(forms.Form):
    """How the source writes times and money, and by which name it goes."""

    source = forms.CharField(
        label=gettext_lazy("Name of the source"),
        max_length=60,
        help_text=gettext_lazy(
            "For example pos or youzan. Numbers of orders are unique within a source: give the same name each time."
        ),
    )
    time_format = forms.ChoiceField(label=gettext_lazy("Times are written"), choices=TIME_FORMATS)
    time_zone = forms.CharField(label=gettext_lazy("Times are of the zone"), max_length=64, required=False)
    money_unit = forms.ChoiceField(
        label=gettext_lazy("Amounts are in"),
        choices=[("major", gettext_lazy("yuan, dollars (12.50)")), ("minor", gettext_lazy("fen, cents (1250)"))],
    )
    decimal = forms.ChoiceField(
        label=gettext_lazy("Decimal mark"),
        choices=[(".", gettext_lazy("point 1,234.50")), (",", gettext_lazy("comma 1.234,50"))],
    )
    currency = forms.CharField(label=gettext_lazy("Currency of the file"), max_length=3, required=False)

    def __init__(self, *args: Any, target: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].help_text = _("Empty: the brand's zone, %(zone)s.") % {"zone": brand().time_zone}
        self.fields["currency"].help_text = _("Empty: the brand's currency, %(currency)s.") % {
            "currency": brand().currency
        }
        kinds = {field.kind for field in TARGETS[target].fields}
        if not kinds & {"money", "price"}:
            for name in ("money_unit", "decimal", "currency"):
                del self.fields[name]
        if not kinds & {"time", "day"}:
            for name in ("time_format", "time_zone"):
                del self.fields[name]
        if target in RESOURCES:
            del self.fields["source"]

    @staticmethod
    def initial_of(mapping: Mapping) -> dict[str, str]:
        """A mapping's conventions as this form's values."""
        return {
            "source": mapping.source,
            "time_format": mapping.time_format,
            "time_zone": mapping.time_zone,
            "money_unit": mapping.money.unit,
            "decimal": mapping.money.decimal,
            "currency": mapping.money.currency,
        }


class BasisForm(forms.Form):
    """The legal basis of the consents that a source brings."""

    basis = forms.ChoiceField(label=gettext_lazy("Legal basis"), choices=BASES)
    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"), choices=PURPOSES)
    channel = forms.ChoiceField(label=gettext_lazy("Channel"), choices=CHANNELS)
    text_version = forms.CharField(
        label=gettext_lazy("Version of the text"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("Which wording people agreed to, for example 2026-01. Needed as proof."),
    )
    everybody = forms.BooleanField(
        label=gettext_lazy("Everybody in this file has consented (where no column says so)"), required=False
    )

    @staticmethod
    def initial_of(basis: LegalBasis) -> dict[str, Any]:
        """A legal basis as this form's values."""
        return {name: getattr(basis, name) for name in ("basis", "purpose", "channel", "text_version", "everybody")}


class FormatForm(forms.Form):
    """How the file itself is written, where the guess was wrong."""

    def __init__(self, *args: Any, owner: Import, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if owner.form == "csv":
            self.fields["encoding"] = forms.ChoiceField(label=_("Encoding"), choices=ENCODINGS)
            self.fields["delimiter"] = forms.ChoiceField(label=_("Separator"), choices=DELIMITERS)
        elif owner.form == "excel":
            self.fields["sheet"] = forms.CharField(label=_("Sheet"), max_length=60)


def mapping_from(owner: Import, data: Any, old: Mapping) -> Mapping:
    """The mapping that a submitted page describes. Raises ValidationError with the first form error."""
    conventions = ConventionsForm(data, target=owner.target)
    basis = BasisForm(data) if owner.target == CUSTOMERS else None
    for form in (conventions, basis):
        if form is not None and not form.is_valid():
            label, text = next((form[name].label, errors[0]) for name, errors in form.errors.items())
            raise ValidationError(f"{label}: {text}")
    target = TARGETS[owner.target]
    columns = {field.name: data[f"field-{field.name}"] for field in target.fields if data.get(f"field-{field.name}")}
    constants = {
        field.name: data[f"constant-{field.name}"].strip()
        for field in target.fields
        if field.name not in columns and data.get(f"constant-{field.name}", "").strip()
    }
    values = conventions.cleaned_data
    return Mapping(
        source=values.get("source", old.source),
        columns=columns,
        attributes=_attributes(owner, data, set(columns.values())),
        constants=constants,
        time_format=values.get("time_format", old.time_format),
        time_zone=values.get("time_zone", old.time_zone).strip(),
        shift_days=old.shift_days,
        money=Money(
            values.get("money_unit", "major"), values.get("decimal", "."), values.get("currency", "").strip().upper()
        ),
        legal_basis=LegalBasis(**basis.cleaned_data, simulated=old.legal_basis.simulated) if basis else old.legal_basis,
        encoding=old.encoding,
        delimiter=old.delimiter,
        sheet=old.sheet,
    )


def _attributes(owner: Import, data: Any, used: set[str]) -> dict[str, str]:
    """Attribute code -> header, from the columns that no field takes (customers only)."""
    if owner.target != CUSTOMERS:
        return {}
    found = {}
    for place, column in enumerate(owner.columns):
        code = data.get(f"attribute-{place}", "").strip()
        if code and column["header"] not in used:
            if not code.replace("_", "").isalnum() or len(code) > 60:
                raise ValidationError(
                    _("An attribute code has letters, digits and underscores: “%(code)s”.") % {"code": code}
                )
            found[code] = column["header"]
    return found
