"""Addresses of exports and their register."""

from __future__ import annotations

from django.urls import path

from hetang.console.exports import views

app_name = "exports"
urlpatterns = [
    path("", views.register, name="list"),
    path("new/<slug:code>", views.new, name="new"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/make", views.make, name="make"),
    path("<uuid:public_id>/ask", views.ask_again, name="ask"),
    path("<uuid:public_id>/withdraw", views.withdraw, name="withdraw"),
    path("<uuid:public_id>/delete", views.delete, name="delete"),
    path("file/<str:token>.csv", views.download, name="download"),
]
