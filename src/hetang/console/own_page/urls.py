"""Addresses of the customer's own page (`/h5/privacy/`). The public listener serves them."""

from __future__ import annotations

from django.urls import path

from hetang.console import entry
from hetang.console.own_page import views

app_name = "own-page"
urlpatterns = [
    path("", views.page, name="page"),
    path("theme.css", entry.theme, name="theme"),
    path("know", views.know, name="know"),
    path("choose", views.choose, name="choose"),
    path("ask", views.ask, name="ask"),
    path("copy", views.copy, name="copy"),
    path("leave", views.leave, name="leave"),
    path("<str:token>", views.arrive, name="arrive"),
]
