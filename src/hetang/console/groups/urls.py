"""Addresses of group chats."""

from django.urls import path

from hetang.console.groups import views

app_name = "groups"
urlpatterns = [
    path("", views.group_list, name="list"),
    path("<uuid:public_id>/", views.group, name="group"),
    path("<uuid:public_id>/place", views.place, name="place"),
]
