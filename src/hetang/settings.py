"""Django settings: the place where the rooms are plugged together. What differs between installations comes from
`hetang.platform.environment`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF

from hetang.platform import environment, logs, registry, registry_values

BASE_DIR = Path(__file__).resolve().parent
# Its scripts of the API's documentation stay local. It is no app: only the web process shall import it, and pydantic.
_NINJA = Path(str(getattr(find_spec("ninja"), "origin", ""))).parent
DEBUG = False
SECRET_KEY = environment.secrets_of_home().django


def _told(name: str) -> registry.Value:
    """A setting of the environment; the default where what is told is no value (the start refuses that)."""
    try:
        return registry_values.from_environment(name)
    except registry_values.BadValue:
        return registry.SETTINGS[name].default


_hosts = cast("list[str]", _told("web.allowed_hosts"))
ALLOWED_HOSTS = [*_hosts, "localhost", "127.0.0.1", "[::1]"] if _hosts else ["*"]
USE_TZ = True
TIME_ZONE = "UTC"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "procrastinate.contrib.django",
    "hetang.platform",
    "hetang.facts",
    "hetang.resources",
    "hetang.customers",
    "hetang.commerce",
    "hetang.audiences",
    "hetang.touch",
    "hetang.campaigns",
    "hetang.communities",
    "hetang.insights",
    "hetang.connectors.wecom",
    "hetang.imports",
    "hetang.privacy",
    "hetang.operations",
    "hetang.console",
]

# Named, restartable readers of the fact log, in the order in which one may depend on another.
SUBSCRIPTIONS: list[str] = [
    "hetang.customers.subscriptions:customers",
    "hetang.commerce.subscriptions:commerce",
    "hetang.commerce.subscriptions:history",
    "hetang.touch.clicks:clicks",
    "hetang.connectors.wecom.tagging:subscription",
]

# Which field of a kind of fact holds a code of ours, and who knows what it means: see `hetang.facts.references`.
FACT_REFERENCES: dict[str, tuple[str, str]] = {"click.identified": ("link", "hetang.touch.clicks:links")}

# Loops that the worker process runs, each under its own lease: dotted paths to `hetang.platform.loops.Loop`s.
LOOPS: list[str] = [
    "hetang.facts.loops:leading",
    "hetang.facts.loops:following",
    "hetang.facts.loops:patient",
    "hetang.customers.jobs:daily",
    "hetang.commerce.rhythm_nightly:nightly",
    "hetang.customers.stage_changes:loop",
    "hetang.audiences.loops:refresh",
    "hetang.audiences.pond_days:loop",
    "hetang.touch.loops:planning",
    "hetang.touch.loops:dispatch",
    "hetang.touch.loops:outcomes",
    "hetang.console.tidying:loop",
    "hetang.connectors.wecom.welcoming:loop",
    "hetang.connectors.wecom.callbacks:loop",
    "hetang.connectors.wecom.tagging:loop",
    "hetang.connectors.wecom.tag_catalogue:loop",
    "hetang.connectors.wecom.nightly:loop",
    "hetang.connectors.wecom.avatars:loop",
    "hetang.connectors.wecom.enclosures:loop",
    "hetang.connectors.wecom.group_days:loop",
    "hetang.connectors.wecom.mass_messages:loop",
    "hetang.connectors.wecom.handover.leavers:loop",
    "hetang.connectors.wecom.handover.following:loop",
    "hetang.operations.schedule:loop",
    "hetang.operations.alerting:loop",
    "hetang.operations.notices:loop",
    "hetang.privacy.loops:sealing",
    "hetang.privacy.loops:erasing",
    "hetang.privacy.loops:export_files",
    "hetang.privacy.loops:keeping",
    "hetang.privacy.loops:counting",
]

# JSON services of the engine process: name -> dotted path of a factory (`hetang.platform.engine.Service`).
ENGINE_SERVICES: dict[str, str] = {"sets": "hetang.audiences.engine:service"}

# Modules whose `@job` handlers the worker runs.
JOBS: list[str] = [
    "hetang.commerce.jobs",
    "hetang.commerce.rhythm_nightly",
    "hetang.customers.jobs",
    "hetang.connectors.wecom.sync",
    "hetang.connectors.wecom.handover.judging",
    "hetang.connectors.wecom.handover.carrying",
    "hetang.connectors.wecom.doctor.running",
    "hetang.connectors.wecom.cost",
    "hetang.connectors.wecom.accounts.services",
    "hetang.imports.jobs",
    "hetang.privacy.jobs",
    "hetang.demo.jobs",
    "hetang.operations.jobs",
]

# Who knows what others sent on a channel (`hetang.touch.ports.outside_messages`).
OUTSIDE_MESSAGES: list[str] = ["hetang.connectors.wecom.mass_messages:sent_outside"]

# Who needs an audience, asked before one is archived: `(audience id) -> list[hetang.audiences.ports.Use]`.
AUDIENCE_USERS: list[str] = ["hetang.campaigns.queries:drafts_to"]

# What campaigns and broadcasts are called, and by which programmes they were sent (`hetang.audiences.ports`).
AUDIENCE_MESSAGES = "hetang.campaigns.queries:messages_of"

# What the rooms do to a database that was just restored: `(taken_at) -> None`, in one transaction
# (`hetang.platform.restored`). Erasures that were made since the backup are carried out again here, too.
AFTER_RESTORE: list[str] = [
    "hetang.privacy.rotation:after_restore",
    "hetang.facts.restoring:raise_epoch",
    "hetang.commerce.restoring:rebuild_history",
    "hetang.touch.restoring:hold_sending",
    "hetang.privacy.replay:after_restore",
]

# What the public listener serves, by the parts that `HETANG_PUBLIC_PARTS` names: beginnings of addresses. Pages of
# customers (H5) lie below /h5/ and use static files.
PUBLIC_PATHS: dict[str, tuple[str, ...]] = {
    "callbacks": ("/wecom/callback/", "/WW_verify_", "/MP_verify_"),  # and the files that prove the domain
    "links": ("/l/",),
    "pages": ("/h5/", "/static/"),
    "api": ("/api/v1/facts",),
}
# Calls of machines that prove themselves by a signature: they take the short way (`operations.listening`).
DIRECT_PATHS = PUBLIC_PATHS["callbacks"]

# What the rooms hold about a person, in the order in which it is erased: dotted paths to lists of
# `hetang.platform.holdings.Holding`. The log comes before what points into it, sets after those who rebuild them.
HOLDINGS: list[str] = [
    "hetang.customers.holdings:HOLDINGS",
    "hetang.facts.holdings:HOLDINGS",
    "hetang.commerce.holdings:HOLDINGS",
    "hetang.audiences.holdings:HOLDINGS",
    "hetang.touch.holdings:HOLDINGS",
    "hetang.imports.holdings:HOLDINGS",
    "hetang.privacy.export_files:HOLDINGS",
    "hetang.privacy.own_page:HOLDINGS",
    "hetang.communities.holdings:HOLDINGS",
    "hetang.connectors.wecom.holdings:HOLDINGS",
]

# Columns that hold sealed values, with the unique key by which they are walked when the key is rotated. Those of
# identities and of the fact log change together with their lookup keys: see `hetang.privacy.rotation`.
SEALED_COLUMNS: list[str] = [
    "customers_customer(number bigint).name",
    "customers_householdmember(id bigint).name",
    "facts_intake(received_at timestamptz, id bigint).body",
    "facts_heldfact(id bigint).body",
    "platform_twofactor(user_id bigint).secret",
    "operations_settingvalue(name text).sealed",
    "privacy_erasure(id bigint).sealed",
    "privacy_privacyrequest(id bigint).text",
    "wecom_app(id bigint).secret",
    "wecom_app(id bigint).callback_token",
    "wecom_app(id bigint).callback_aes_key",
    "wecom_accesstoken(app_id bigint).token",
    "wecom_callbackmessage(id bigint).body",
    "wecom_welcome(id bigint).code",
    "wecom_avatar(id bigint).picture",
]

# How long kinds of data are kept: dotted paths to lists of `hetang.platform.keeping.Keeping`.
KEEPING: list[str] = [
    "hetang.customers.keeping:KEEPING",
    "hetang.facts.keeping:KEEPING",
    "hetang.commerce.keeping:KEEPING",
    "hetang.audiences.keeping:KEEPING",
    "hetang.touch.keeping:KEEPING",
    "hetang.imports.keeping:KEEPING",
    "hetang.communities.keeping:KEEPING",
    "hetang.connectors.wecom.keeping:KEEPING",
    "hetang.privacy.keeping:KEEPING",
]

# What can be exported, and how its rows are read: dotted paths to lists of `hetang.privacy.exports.ExportKind`.
EXPORTS: list[str] = ["hetang.console.exports.kinds:KINDS"]

# Channels by which touches leave the house: name -> dotted path of a `hetang.touch.ports.Channel` factory.
CHANNELS: dict[str, str] = {"wecom": "hetang.connectors.wecom.channel:channel"}


# A server that is gone without a word (its machine, the network) is noticed in seconds, not after the kernel's hours.
_PATIENCE = {
    "connect_timeout": "5",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


def _database() -> dict[str, Any]:
    """Django's form of a libpq URL; the socket directory travels as `?host=`."""
    url = urlsplit(environment.database_url() or "postgresql:///hetang")
    query = dict(parse_qsl(url.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")) or "hetang",
        "USER": unquote(url.username or query.pop("user", "")),
        "PASSWORD": unquote(url.password or ""),
        "HOST": query.pop("host", url.hostname or ""),
        "PORT": str(url.port or query.pop("port", "")),
        "CONN_MAX_AGE": 30,  # a server process keeps what its largest statement needed until it ends
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_PATIENCE, **query, "application_name": "hetang"},
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "platform.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "hetang.platform.passwords.Length"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "display_name")},
    },
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]

MIDDLEWARE = [
    "hetang.operations.listening.TrustMiddleware",  # first: who asks, before anybody notes it
    "hetang.operations.observing.ObservingMiddleware",  # probes must not need the database
    "hetang.operations.listening.GateMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "hetang.operations.listening.DirectMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",  # default deny
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "hetang.console.middleware.ConsoleMiddleware",  # refuses views that declare no permission
    "hetang.console.view_as.ViewAsMiddleware",  # innermost: sessions and messages are written outside of it
]
ROOT_URLCONF = "hetang.urls"
WSGI_APPLICATION = "hetang.wsgi.application"
LOGIN_URL = "console:login"
LOGIN_REDIRECT_URL = "console:home"
CSRF_FAILURE_VIEW = "hetang.console.errors.csrf_failure"
FORM_RENDERER = "hetang.console.forms.ConsoleRenderer"

# Which customers lie inside a scope: `(Scope) -> QuerySet[Customer]`, asked by `platform.access.visible_customers`.
VISIBLE_CUSTOMERS = "hetang.customers.access:visible"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": [_NINJA / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hetang.console.context.console",
            ],
        },
    },
]

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = sorted(path for path in (BASE_DIR / "locale").iterdir() if path.is_dir())  # one folder a room
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = environment.home() / "static"
STATICFILES_DIRS = [_NINJA / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "hetang.console.static_names.StaticNames"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = str(_told("web.console_url")).startswith("https://")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "hetang.platform.sessions"
SESSION_COOKIE_AGE = 7 * 24 * 3600  # the cookie's; when a session ends is decided by the log-in rules
SESSION_COOKIE_NAME = "hetang_session"
CSRF_COOKIE_NAME = "hetang_csrf"
LANGUAGE_COOKIE_NAME = "hetang_language"
CSRF_COOKIE_HTTPONLY = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
FILE_UPLOAD_TEMP_DIR = environment.ensure_home() / "run"  # private to us, unlike the system's

LOGGING = logs.configuration(str(_told("watch.log_format")))
