"""Addresses of the privacy pages."""

from __future__ import annotations

from django.urls import path

from hetang.console.privacy import bases, consents, keeping, person, requests, rotating, rules

app_name = "privacy"
urlpatterns = [
    path("of/<uuid:public_id>/", person.person, name="person"),
    path("of/<uuid:public_id>/link", person.make_link, name="person-link"),
    path("of/<uuid:public_id>/end-link", person.end_link, name="person-end-link"),
    path("of/<uuid:public_id>/note", person.note, name="person-note"),
    path("of/<uuid:public_id>/erase", person.erase, name="person-erase"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<uuid:public_id>/", requests.detail, name="request"),
    path("requests/<uuid:public_id>/answer", requests.answer, name="request-answer"),
    path("requests/<uuid:public_id>/erase", requests.erase, name="request-erase"),
    path("erasures/", requests.erasures, name="erasures"),
    path("erasures/<uuid:public_id>/", requests.erasure, name="erasure"),
    path("erasures/<uuid:public_id>/check", requests.check, name="erasure-check"),
    path("erasures/<uuid:public_id>/proof", requests.certificate, name="certificate"),
    path("consents/", consents.register, name="consents"),
    path("consents/basis", bases.state, name="basis"),
    path("consents/basis/<uuid:public_id>/go-on", bases.go_on, name="basis-go-on"),
    path("consents/count", consents.count_now, name="consents-count"),
    path("keeping/", keeping.schedule, name="keeping"),
    path("keeping/due", keeping.due, name="keeping-due"),
    path("keeping/run", keeping.run_now, name="keeping-run"),
    path("keeping/<slug:code>/", keeping.kind, name="keeping-kind"),
    path("keys/", rotating.key_page, name="keys"),
    path("keys/rotate", rotating.rotate, name="keys-rotate"),
    path("rules/", rules.rules, name="rules"),
]
