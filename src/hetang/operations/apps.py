from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "hetang.operations"
    label = "operations"
