"""Addresses of what people choose in lists (namespace `lists`)."""

from __future__ import annotations

from django.urls import path

from hetang.console.lists import views

app_name = "lists"
urlpatterns = [
    path("<slug:code>/columns", views.choose_columns, name="columns"),
    path("<slug:code>/views", views.save_view, name="save-view"),
    path("views/<uuid:public_id>/remove", views.remove_view, name="remove-view"),
]
