"""Addresses of the console: its own (namespace `console`) and one include per room (namespace = room)."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from hetang.console import entry, first_run, first_steps, home, login_steps, styleguide, wecom_sign_on
from hetang.console.campaigns.links import short_link
from hetang.console.help.views import help_page
from hetang.console.homes import views as homes
from hetang.console.search.views import search_page

_own: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("look-at/<slug:code>", homes.look_at, name="look-at"),
    path("store-board", homes.board, name="store-board"),
    path("login", entry.log_in, name="login"),
    path("search", search_page, name="search"),
    path("help", help_page, name="help"),
    path("login/code", login_steps.code, name="login-code"),
    path("login/two-factor", login_steps.enrol, name="login-enrol"),
    path("login/wecom", wecom_sign_on.start, name="login-wecom"),
    path("login/wecom/back", wecom_sign_on.back, name="login-wecom-back"),
    path("login/password", login_steps.password, name="login-password"),
    path("logout", entry.log_out, name="logout"),
    path("first-steps/put-away", first_steps.put_away, name="steps-put-away"),
    path("first-steps/bring-back", first_steps.bring_back, name="steps-bring-back"),
    path("setup", first_run.set_up, name="setup"),
    path("language", entry.choose_language, name="language"),
    path("appearance", entry.choose_appearance, name="appearance"),
    path("console/theme.css", entry.theme, name="theme"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
]

# Rooms add their line here: path("<room>/", include("hetang.console.<room>.urls")).
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((_own, "console"))),
    path("l/<slug:code>", short_link, name="short-link"),
    path("customers/", include("hetang.console.customers.urls")),
    path("groups/", include("hetang.console.groups.urls")),
    path("handovers/", include("hetang.console.handovers.urls")),
    path("imports/", include("hetang.console.imports.urls")),
    path("audiences/", include("hetang.console.audiences.urls")),
    path("ponds/", include("hetang.console.ponds.urls")),
    path("campaigns/", include("hetang.console.campaigns.urls")),
    path("approvals/", include("hetang.console.approvals.urls")),
    path("operations/", include("hetang.console.operations.urls")),
    path("insights/", include("hetang.console.insights.urls")),
    path("lists/", include("hetang.console.lists.urls")),
    path("me/", include("hetang.console.me.urls")),
    path("exports/", include("hetang.console.exports.urls")),
    path("h5/privacy/", include("hetang.console.own_page.urls")),
    path("privacy/", include("hetang.console.privacy.urls")),
    path("audit/", include("hetang.console.audit.urls")),
    path("settings/", include("hetang.console.settings.urls")),
    path("simulator/", include("hetang.console.simulator.urls")),
]
