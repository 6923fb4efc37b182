"""Addresses of the audiences' pages."""

from django.urls import path

from hetang.console.audiences import building, overlaps, past, portraits, uses, values, views

app_name = "audiences"
urlpatterns = [
    path("", views.audience_list, name="list"),
    path("new", building.new, name="new"),
    path("build", building.build, name="build"),
    path("values/<slug:source>", values.values, name="values"),
    path("save", building.save, name="save"),
    path("overlap", overlaps.overlap, name="overlap"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/edit", building.edit, name="edit"),
    path("<uuid:public_id>/portrait", portraits.portrait_page, name="portrait"),
    path("<uuid:public_id>/comparison", portraits.comparison, name="comparison"),
    path("<uuid:public_id>/history", views.history, name="history"),
    path("<uuid:public_id>/past", past.at_a_time, name="past"),
    path("<uuid:public_id>/why", views.why, name="why"),
    path("<uuid:public_id>/refresh", views.refresh, name="refresh"),
    path("<uuid:public_id>/archive", uses.archive, name="archive"),
    path("<uuid:public_id>/restore", uses.restore, name="restore"),
]
