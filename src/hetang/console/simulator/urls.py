"""Addresses of the simulated WeCom's page."""

from django.urls import path

from hetang.console.simulator import views

app_name = "simulator"
urlpatterns = [
    path("", views.page, name="page"),
    path("play", views.play, name="play"),
    path("advance", views.advance, name="advance"),
    path("confirm", views.confirm, name="confirm"),
    path("ignore", views.ignore, name="ignore"),
    path("behaviour", views.behaviour, name="behaviour"),
]
