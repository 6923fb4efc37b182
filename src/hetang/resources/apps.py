from django.apps import AppConfig


class ResourcesConfig(AppConfig):
    name = "hetang.resources"
    label = "resources"
