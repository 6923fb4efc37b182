from django.apps import AppConfig


class WeComConfig(AppConfig):
    name = "hetang.connectors.wecom"
    label = "wecom"
