"""Addresses of one's own account."""

from django.urls import path

from hetang.console.me import views

app_name = "me"
urlpatterns = [
    path("", views.account, name="account"),
    path("password", views.change_password, name="password"),
    path("two-factor", views.two_factor_on, name="two-factor"),
    path("two-factor/off", views.two_factor_off, name="two-factor-off"),
    path("two-factor/codes", views.recovery_codes, name="codes"),
    path("sessions/<int:session_id>/end", views.end_session, name="session-end"),
    path("sessions/end", views.end_others, name="sessions-end"),
    path("devices/forget", views.forget_devices, name="devices-forget"),
]
