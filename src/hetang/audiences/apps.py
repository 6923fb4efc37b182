from django.apps import AppConfig


class AudiencesConfig(AppConfig):
    name = "hetang.audiences"
    label = "audiences"
