"""Addresses of campaigns, broadcasts and the governor (namespace `campaigns`)."""

from __future__ import annotations

from django.urls import path

from hetang.console.campaigns import calendar, campaigns, codes, composer, governor, progress, quota, splits

app_name = "campaigns"
urlpatterns = [
    path("", campaigns.campaign_list, name="list"),
    path("new", campaigns.new, name="new"),
    path("governor", governor.settings_page, name="governor"),
    path("calendar", calendar.month, name="calendar"),
    path("codes", codes.code_list, name="codes"),
    path("codes/edit", codes.code_edit, name="code"),
    path("codes/new", codes.code_new, name="code_new"),
    path("quota", quota.quota, name="quota"),
    path("quota/left", quota.left, name="quota_left"),
    path("<uuid:public_id>/", campaigns.detail, name="detail"),
    path("<uuid:public_id>/edit", campaigns.edit, name="edit"),
    path("<uuid:public_id>/state", campaigns.change_state, name="state"),
    path("broadcasts/", composer.broadcast_list, name="broadcasts"),
    path("broadcasts/new", composer.new, name="new_broadcast"),
    path("broadcasts/preview", composer.preview, name="preview"),
    path("broadcasts/pictures/<int:number>", composer.take_pictures, name="take_pictures"),
    path("pictures/<uuid:public_id>", composer.picture, name="picture"),
    path("broadcasts/<uuid:public_id>/", progress.show, name="broadcast"),
    path("broadcasts/<uuid:public_id>/edit", composer.edit, name="edit_broadcast"),
    path("broadcasts/<uuid:public_id>/discard", composer.discard, name="discard_broadcast"),
    path("broadcasts/<uuid:public_id>/split", splits.split, name="split"),
    path("broadcasts/<uuid:public_id>/split/body", splits.split_body, name="split_body"),
    path("broadcasts/<uuid:public_id>/people/<slug:reason>", splits.people, name="people"),
    path("broadcasts/<uuid:public_id>/ask", splits.ask, name="ask"),
    path("broadcasts/<uuid:public_id>/send", splits.send, name="send"),
    path("broadcasts/<uuid:public_id>/progress", progress.progress, name="progress"),
    path("broadcasts/<uuid:public_id>/progress/body", progress.progress_body, name="progress_body"),
    path("broadcasts/<uuid:public_id>/pause", progress.pause, name="pause"),
    path("broadcasts/<uuid:public_id>/resume", progress.resume, name="resume"),
    path("broadcasts/<uuid:public_id>/cancel", progress.cancel, name="cancel"),
    path("broadcasts/<uuid:public_id>/remind", progress.remind, name="remind"),
]
