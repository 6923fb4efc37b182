from django.apps import AppConfig


class InsightsConfig(AppConfig):
    name = "hetang.insights"
    label = "insights"
