"""Addresses of the audit log."""

from django.urls import path

from hetang.console.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.audit_list, name="list"),
    path("seals", views.seal_page, name="seals"),
    path("verify", views.verify, name="verify"),
]
