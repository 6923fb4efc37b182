from django.apps import AppConfig


class CommerceConfig(AppConfig):
    name = "hetang.commerce"
    label = "commerce"
