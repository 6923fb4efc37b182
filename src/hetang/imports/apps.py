from django.apps import AppConfig


class ImportsConfig(AppConfig):
    name = "hetang.imports"
    label = "imports"
