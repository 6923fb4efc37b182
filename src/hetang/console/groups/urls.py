"""Addresses of group chats."""

from django.urls import path

from hetang.console.groups import overlaps, views, welcomes

app_name = "groups"
urlpatterns = [
    path("", views.group_list, name="list"),
    path("overlaps", overlaps.overlap_list, name="overlaps"),
    path("welcomes/", welcomes.welcome_list, name="welcomes"),
    path("welcomes/new", welcomes.welcome_edit, name="welcome-new"),
    path("welcomes/<uuid:public_id>/", welcomes.welcome_edit, name="welcome"),
    path("welcomes/<uuid:public_id>/remove", welcomes.welcome_remove, name="welcome-remove"),
    path("welcomes/<uuid:public_id>/give", welcomes.welcome_give, name="welcome-give"),
    path("welcomes/<uuid:public_id>/ask", welcomes.welcome_ask, name="welcome-ask"),
    path("<uuid:public_id>/", views.group, name="group"),
    path("<uuid:public_id>/place", views.place, name="place"),
    path("<uuid:public_id>/welcome", views.welcome_answer, name="welcome-answer"),
]
