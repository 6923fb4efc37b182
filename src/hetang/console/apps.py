from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "hetang.console"
    label = "console"
