"""Addresses of the measuring pages (namespace `insights`)."""

from __future__ import annotations

from django.urls import path

from hetang.console.insights import views

app_name = "insights"
urlpatterns = [
    path("board", views.board_view, name="board"),
    path("reports", views.reports, name="reports"),
    path("reports/<uuid:public_id>", views.report, name="report"),
    path("definitions", views.definitions, name="definitions"),
]
