"""Addresses of the settings pages."""

from django.urls import path

from hetang.console.settings import brand, keys, users

app_name = "settings"
urlpatterns = [
    path("", brand.brand_settings, name="brand"),
    path("keys/", keys.key_list, name="keys"),
    path("keys/<int:key_id>/revoke", keys.revoke, name="key-revoke"),
    path("users/", users.user_list, name="users"),
    path("users/new", users.user_new, name="user-new"),
    path("users/<int:user_id>/", users.user_detail, name="user"),
    path("users/<int:user_id>/active", users.set_active, name="user-active"),
    path("users/<int:user_id>/grants", users.grant_add, name="grant-add"),
    path("users/<int:user_id>/grants/<int:grant_id>/remove", users.grant_remove, name="grant-remove"),
]
