"""Addresses of approvals."""

from django.urls import path

from hetang.console.approvals import views

app_name = "approvals"
urlpatterns = [
    path("", views.approval_list, name="list"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/decide", views.decide, name="decide"),
    path("<uuid:public_id>/withdraw", views.withdraw, name="withdraw"),
]
