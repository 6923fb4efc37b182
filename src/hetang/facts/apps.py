from django.apps import AppConfig


class FactsConfig(AppConfig):
    name = "hetang.facts"
    label = "facts"
