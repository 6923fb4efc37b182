"""Addresses of the import pages."""

from __future__ import annotations

from django.urls import path

from hetang.console.imports import districts, views

app_name = "imports"
urlpatterns = [
    path("", views.import_list, name="list"),
    path("new", views.new, name="new"),
    path("template/<slug:name>.csv", views.template, name="template"),
    path("presets", views.presets, name="presets"),
    path("presets/<uuid:public_id>/delete", views.delete_preset, name="preset-delete"),
    path("districts/", districts.district_list, name="districts"),
    path("districts/<int:district_id>/", districts.district_edit, name="district"),
    path("districts/<int:district_id>/delete", districts.district_delete, name="district-delete"),
    path("<uuid:public_id>", views.detail, name="detail"),
    path("<uuid:public_id>/mapping", views.edit_mapping, name="mapping"),
    path("<uuid:public_id>/format", views.choose_format, name="format"),
    path("<uuid:public_id>/preset", views.use_preset, name="preset"),
    path("<uuid:public_id>/save-preset", views.save_preset, name="save-preset"),
    path("<uuid:public_id>/run", views.run, name="run"),
]
