"""Addresses of the operations pages."""

from django.urls import path

from hetang.console.operations import alerts, backups, held, jobs, status

app_name = "operations"
urlpatterns = [
    path("", status.status, name="status"),
    path("streams/<str:name>/pass", status.pass_one, name="stream-pass"),
    path("alerts/", alerts.alert_list, name="alerts"),
    path("alerts/history", alerts.history, name="alert-history"),
    path("alerts/test", alerts.test, name="alert-test"),
    path("alerts/<int:alert_id>/acknowledge", alerts.acknowledge, name="alert-acknowledge"),
    path("backups/", backups.backup_list, name="backups"),
    path("backups/<slug:kind>", backups.begin, name="backup-begin"),
    path("held/", held.held_list, name="held"),
    path("held/replay", held.replay_many, name="held-replay-many"),
    path("held/<int:held_id>/", held.held_detail, name="held-detail"),
    path("held/<int:held_id>/replay", held.replay, name="held-replay"),
    path("held/<int:held_id>/dismiss", held.dismiss, name="held-dismiss"),
    path("jobs/", jobs.job_list, name="jobs"),
    path("jobs/<uuid:public_id>/", jobs.job_detail, name="job"),
    path("jobs/<uuid:public_id>/progress", jobs.progress, name="job-progress"),
    path("jobs/<uuid:public_id>/cancel", jobs.cancel, name="job-cancel"),
]
