from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    name = "hetang.privacy"
    label = "privacy"
