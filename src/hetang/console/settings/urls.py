"""Addresses of the settings pages."""

from django.urls import path

from hetang.console.settings import (
    approval_rules,
    brand,
    help_users,
    keys,
    login_rules,
    looking,
    organisation,
    roles,
    system,
    users,
    wecom,
)

app_name = "settings"
urlpatterns = [
    path("", brand.brand_settings, name="brand"),
    path("wecom/", wecom.connection, name="wecom"),
    path("wecom/sync", wecom.sync_now, name="wecom-sync"),
    path("wecom/keys", wecom.callback_keys, name="wecom-keys"),
    path("wecom/trial", wecom.try_out, name="wecom-trial"),
    path("system/", system.system_settings, name="system"),
    path("system/<slug:group>", system.save_group, name="system-save"),
    path("keys/", keys.key_list, name="keys"),
    path("keys/<int:key_id>/limits", keys.limits, name="key-limits"),
    path("keys/<int:key_id>/revoke", keys.revoke, name="key-revoke"),
    path("users/", users.user_list, name="users"),
    path("users/new", users.user_new, name="user-new"),
    path("users/<int:user_id>/", users.user_detail, name="user"),
    path("users/<int:user_id>/view-as", looking.look_as_user, name="view-as-user"),
    path("roles/<slug:code>/view-as", looking.look_as_role, name="view-as-role"),
    path("view-as/end", looking.end, name="view-as-end"),
    path("users/<int:user_id>/active", users.set_active, name="user-active"),
    path("users/<int:user_id>/staff", users.link_staff, name="user-staff"),
    path("users/<int:user_id>/password", help_users.reset_password, name="user-password"),
    path("users/<int:user_id>/two-factor", help_users.reset_two_factor, name="user-two-factor"),
    path("users/<int:user_id>/sessions", help_users.end_sessions, name="user-sessions"),
    path("users/<int:user_id>/unlock", help_users.unlock, name="user-unlock"),
    path("users/<int:user_id>/grants", users.grant_add, name="grant-add"),
    path("users/<int:user_id>/grants/<int:grant_id>/remove", users.grant_remove, name="grant-remove"),
    path("roles/", roles.role_list, name="roles"),
    path("roles/new", roles.role_new, name="role-new"),
    path("roles/<slug:code>/", roles.role_detail, name="role"),
    path("roles/<slug:code>/edit", roles.role_edit, name="role-edit"),
    path("roles/<slug:code>/delete", roles.role_delete, name="role-delete"),
    path("login-rules/", login_rules.login_rules, name="login-rules"),
    path("approval-rules/", approval_rules.approval_rules, name="approval-rules"),
    path("organisation/", organisation.place_list, name="organisation"),
    path("organisation/<int:node_id>/", organisation.place_edit, name="place"),
]
