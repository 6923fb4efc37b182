from django.apps import AppConfig


class TouchConfig(AppConfig):
    name = "hetang.touch"
    label = "touch"
