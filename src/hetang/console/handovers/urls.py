"""Addresses of hand-overs and of who loses customers."""

from django.urls import path

from hetang.console.handovers import risks, views

app_name = "handovers"
urlpatterns = [
    path("", views.overview, name="list"),
    path("new", views.new, name="new"),
    path("lost", risks.lost, name="lost"),
    path("<uuid:public_id>/", views.show, name="show"),
    path("<uuid:public_id>/start", views.start, name="start"),
    path("<uuid:public_id>/prepare", views.prepare_again, name="prepare-again"),
    path("<uuid:public_id>/discard", views.discard, name="discard"),
    path("<uuid:public_id>/give-up", views.give_up, name="give-up"),
]
