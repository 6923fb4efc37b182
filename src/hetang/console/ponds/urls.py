"""Addresses of the pages of pond sets."""

from django.urls import path

from hetang.console.ponds import composing, own_rules, starts, views

app_name = "ponds"
urlpatterns = [
    path("", views.pond_list, name="list"),
    path("new", composing.new, name="new"),
    path("draw", composing.draw, name="draw"),
    path("save", composing.save, name="save"),
    path("rule", own_rules.compose, name="rule"),
    path("rule/use", own_rules.use, name="use"),
    path("start", starts.start, name="start"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/people", views.people_page, name="people"),
    path("<uuid:public_id>/history", views.history, name="history"),
    path("<uuid:public_id>/edit", composing.edit, name="edit"),
    path("<uuid:public_id>/make-audience", own_rules.make_audience, name="make-audience"),
    path("<uuid:public_id>/archive", views.archive, name="archive"),
    path("<uuid:public_id>/restore", views.restore, name="restore"),
]
